"""What a benchmark case is: inputs, participants, the check, and the bars it should clear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch

OURS = "mlbench-kernels"
PRODUCT = "X @ X.T"
PML = "pytorch-metric-learning"
DENSE = "dense torch"
COMPILED = "dense torch.compile"
CERTIFIED = f"{OURS} certified"
BATCH_HARD = f"{OURS} batch-hard"

EXACT = "ieee"
"""The precision of the CPU, and of participants that know only plain float32."""
PRECISIONS = ("tf32x3", "bf16x3", "bf16", "tf32", "ieee")

Call = Callable[[], Any]


@dataclass(frozen=True)
class Shape:
    """The size of a problem: `count` rows of `dimension` in `classes` classes of almost equal size."""

    count: int
    dimension: int
    classes: int

    def __str__(self) -> str:
        return f"N={self.count} D={self.dimension} C={self.classes}"

    @property
    def per_class(self) -> float:
        """Rows of a class."""
        return self.count / self.classes


def fours(count: int, dimension: int = 128) -> Shape:
    """Four samples per class.

    >>> fours(1024)
    Shape(count=1024, dimension=128, classes=256)
    """
    return Shape(count, dimension, count // 4)


class Setting(NamedTuple):
    """How a participant should compute: `backend` is for ours, `precision` for whoever knows it."""

    backend: str
    precision: str


class Verdict(NamedTuple):
    """What the check of an answer found.

    Attributes:
        differ: answers that are not those of float64.
        of: number of answers.
        excess: how much worse than the best any of them is, in exact values; may be as large as `bound`.
        bound: what the precision explains.
    """

    differ: int
    of: int
    excess: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether rounding explains every difference."""
        return self.excess <= self.bound


Judge = Callable[[Any, str], Verdict]
"""From an answer in the case's canonical form and the precision in which it was found."""


@dataclass(frozen=True)
class Provider:
    """A participant of a case.

    Attributes:
        name: `OURS`, `PRODUCT`, ...
        prepare: from inputs and setting, the call to time; imports and conversions happen here.
        answer: brings what the call returned into the case's canonical form; None: nothing to check.
        precisions: in which it runs on a GPU; on a CPU all run in `EXACT`.
        devices: where it runs.
        most: the largest N.
        pair_bytes: memory it needs for each of the N² pairs; it is left out where that is not free.
        capturable: its call launches work and never waits for it, so that a CUDA graph can hold it.
    """

    name: str
    prepare: Callable[[Any, Setting], Call]
    answer: Callable[[Any], Any] | None = None
    precisions: tuple[str, ...] = (EXACT,)
    devices: tuple[str, ...] = ("cpu", "cuda")
    most: int = 1 << 62
    pair_bytes: float = 0.0
    capturable: bool = False


@dataclass(frozen=True)
class Bar:
    """What our row should reach.

    Attributes:
        device: "cpu" or "cuda".
        shape: the row's shape.
        quantity: "speed" (at least `limit` times that of `against`), "time" (at most `limit` times that of `against`,
            or `limit` seconds), "memory" (at most `limit` bytes above the inputs, or `limit` times that of `against`)
            or "differ" (at most `limit` answers that are not those of float64).
        limit: see there.
        against: the participant to compare with, at the same shape and in the same run.
        precision: of our row.
        other_precision: of the other's row; by default the same.
    """

    device: Literal["cpu", "cuda"]
    shape: Shape
    quantity: Literal["speed", "time", "memory", "differ"]
    limit: float
    against: str | None = None
    precision: str = EXACT
    other_precision: str | None = None


@dataclass(frozen=True)
class Case:
    """One operation.

    Attributes:
        operation: its name in the tables.
        make: inputs of a shape on a device.
        judge: from the inputs, what checks answers; the costly part, finding the optimum, is done once.
        providers: who takes part; ours first.
        cpu: shapes on a CPU.
        gpu: shapes on a GPU, the most important first.
        bars: what ours should reach.
        threads: threads on a CPU, unless OMP_NUM_THREADS is set.
    """

    operation: str
    make: Callable[[Shape, torch.device], Any]
    judge: Callable[[Any], Judge]
    providers: tuple[Provider, ...]
    cpu: tuple[Shape, ...]
    gpu: tuple[Shape, ...]
    bars: tuple[Bar, ...] = field(default=())
    threads: int = 1
