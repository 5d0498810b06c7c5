"""What is compiled: every kernel by name, the configurations in which it is shipped, and its launch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

from ..engine.layout import Layout
from ..engine.problem import Problem
from ..engine.triton import _stream, kept, launch
from ..engine.triton_gradient import _gradient
from ..engine.triton_gradient import launch as launch_gradient
from ..ops.class_softmax import triton as class_softmax
from ..precision import PRECISIONS
from ..rules.beyond import Beyond
from ..rules.distance_sum import DistanceSum
from ..rules.distance_weighted import DistanceWeighted
from ..rules.extreme import Extreme
from ..rules.hinge import Hinge
from ..rules.log_sum_exp import LogSumExp
from ..rules.nearer import Nearer
from ..rules.pair_loss import PairLoss
from ..rules.rule import Rule
from ..rules.softplus import Softplus
from ..rules.top_k import TopK
from ..rules.triplets import Triplets
from ..tuning import Tiling, find_tiling, gradient_tiling

Launch = tuple[Any, tuple[int, ...], tuple[Any, ...], dict[str, Any]]
"""Jit function, grid, arguments and options."""

_COUNT = 64  # rows of the problem that is launched; its size is not compiled in
_DIMENSIONS = (256, 512)  # one of each configuration that depends on the dimension

RULES: dict[str, Rule] = {
    "farthest positive": Extreme("positives", farthest=True),
    "nearest negative": Extreme("negatives"),
    "semi-hard negatives of 3 positives": Beyond("negatives", torch.zeros(_COUNT, 3)),
    "8 hardest negatives": TopK("negatives", 8),
    "distance-weighted negatives of 3 positives": DistanceWeighted("negatives", _COUNT, 3, seed=0, dimension=256),
    "negatives nearer than 6 thresholds": Nearer("negatives", torch.zeros(_COUNT, 6)),
    "hinges of negatives": Hinge("negatives", 1.0),
    "log-sum-exp of negatives": LogSumExp("negatives", -10.0),
    "softplus of positives": Softplus("positives", 10.0, thresholds=torch.zeros(_COUNT, 1)),
    "distance sum of positives": DistanceSum("positives"),
    "semi-hard triplets of 3 positives": Triplets("negatives", 0.2, 1.0, thresholds=torch.zeros(_COUNT, 3)),
}
"""A representative of every Triton form in `rules`."""


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        configurations: precisions and tilings for an architecture and its shared memory in bytes.
        launch: how it is launched in one of them.
    """

    configurations: Callable[[int, int], Iterable[tuple[str, Tiling]]]
    launch: Callable[[str, Tiling], Launch]


def _problem(square: bool) -> Problem:
    embeddings, labels = torch.zeros(_COUNT, 256), torch.zeros(_COUNT, dtype=torch.int64)
    return Problem(embeddings, labels, embeddings, labels, square, "squared-euclidean")


def _forward(rule: Rule, square: bool) -> Kernel:
    """The streaming engine with a rule."""

    def configurations(arch: int, memory: int) -> Iterator[tuple[str, Tiling]]:
        for precision, dimension in product(PRECISIONS, _DIMENSIONS):
            yield precision, find_tiling(arch, precision, dimension, memory, kept(rule))

    def start(precision: str, tiling: Tiling) -> Launch:
        problem = _problem(square)
        return _stream, *launch(rule, problem, Layout(rule, problem), precision, tiling)

    return Kernel(configurations, start)


def _backward(rule: PairLoss, forward: bool, backward: bool) -> Kernel:
    """The gradient pass of a pair loss; both directions at once in the square form."""

    def configurations(arch: int, memory: int) -> Iterator[tuple[str, Tiling]]:
        return ((precision, gradient_tiling(precision)[0]) for precision in PRECISIONS)

    def start(precision: str, tiling: Tiling) -> Launch:
        problem = _problem(forward and backward)
        limits = torch.zeros(_COUNT, 0) if rule.thresholds is None else rule.thresholds
        saved = (limits, torch.zeros(_COUNT), torch.zeros(_COUNT))
        return _gradient, *launch_gradient(rule, problem, Layout(rule, problem), saved, forward, backward, precision)

    return Kernel(configurations, start)


def _softmax(gradient: bool, by_row: bool = True) -> Kernel:
    """The two kernels of the softmax over classes."""

    def configurations(arch: int, memory: int) -> Iterator[tuple[str, Tiling]]:
        for precision in PRECISIONS:
            if precision != "bf16":
                yield precision, gradient_tiling(precision)[0] if gradient else class_softmax.TILING

    def start(precision: str, tiling: Tiling) -> Launch:
        rows, values = torch.zeros(_COUNT, 256), torch.zeros(_COUNT)
        x, y = class_softmax.sides(rows, rows, torch.zeros(_COUNT, dtype=torch.int64), values)
        if not gradient:
            return class_softmax._forward, *class_softmax.launch_forward(x, y, precision)
        return class_softmax._gradient, *class_softmax.launch_gradient(x, y, values, values, by_row, precision)

    return Kernel(configurations, start)


def _kernels() -> Iterator[tuple[str, Kernel]]:
    for name, rule in RULES.items():
        if rule.pool == "negatives":  # among negatives there is no self
            yield f"{name}, any form", _forward(rule, True)
            continue
        yield f"{name}, square", _forward(rule, True)
        yield f"{name}, rectangular", _forward(rule, False)
    for name, rule in RULES.items():
        if isinstance(rule, PairLoss):
            yield f"gradient of {name}, square", _backward(rule, True, True)
    lse = LogSumExp("negatives", -10.0)
    yield "gradient of log-sum-exp of negatives, by anchors", _backward(lse, True, False)
    yield "gradient of log-sum-exp of negatives, by references", _backward(lse, False, True)
    yield "softmax over classes", _softmax(gradient=False)
    yield "gradient of softmax over classes, by its own side", _softmax(gradient=True, by_row=True)
    yield "gradient of softmax over classes, by the other side", _softmax(gradient=True, by_row=False)


KERNELS = dict(_kernels())
"""Every kernel by its name."""
