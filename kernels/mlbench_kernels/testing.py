"""Check a mining rule of your own: its forms must agree on every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .engine import DISTANCES
from .mining import mine
from .rules.rule import Rule

#: Anchors, references (0: the anchors themselves) and classes. The last three need several tiles of any backend.
_SMALL = ((1, 0, 1), (70, 0, 9), (33, 0, 50), (40, 90, 12))
_LARGE = ((1100, 0, 7), (40, 2300, 2), (20, 1100, 900))


@dataclass(frozen=True)
class _Problem:
    distance: str
    anchors: Tensor
    labels: Tensor
    references: Tensor | None
    reference_labels: Tensor | None

    def __str__(self) -> str:
        among = "themselves" if self.references is None else f"{len(self.references)} references"
        return f"{len(self.anchors)} anchors among {among}, {self.distance} distance"


def check_rule(make: Callable[[Tensor], Rule], backend: str = "blocked", device: str = "cpu") -> None:
    """Require that a rule gives on `backend` what it gives on `reference`, where all pairs are one float64 tile.

    The data are whole numbers, on which float32 is exact: there are many ties, and every tie has one right answer. All
    distances are tried, anchors among themselves and against references, empty pools, and more references than a tile
    has. Triton on the CPU, which is its interpreter, gets the small problems only.

    Args:
        make: makes the rule for anchors `[N, D]`, with thresholds on their device if it has any.
        backend: "blocked", or "triton" on a GPU or in a process with TRITON_INTERPRET=1.
        device: where the data are.

    Raises:
        AssertionError: names the problem, the output and the first anchor that differ.
        RuntimeError: for a backend that cannot run here.

    >>> from mlbench_kernels.rules import Extreme
    >>> check_rule(lambda anchors: Extreme("negatives"))
    """
    interpreted = backend == "triton" and device == "cpu"
    for problem in _problems(_SMALL if interpreted else _SMALL + _LARGE, device):
        expected, found = (_run(make, problem, each) for each in ("reference", backend))
        kinds = make(problem.anchors).outputs
        if not len(expected) == len(found) == len(kinds):
            raise AssertionError(f"{len(kinds)} outputs are declared, {len(expected)} come from finish; {problem}")
        for number, (kind, right, other) in enumerate(zip(kinds, expected, found, strict=True)):
            _compare(f"output {number} ({kind!r}) of {backend}", right, other, problem)


def _run(make: Callable[[Tensor], Rule], problem: _Problem, backend: str) -> tuple[Tensor, ...]:
    given = (problem.anchors, problem.labels, problem.references, problem.reference_labels)
    return mine(make(problem.anchors), *given, distance=problem.distance, backend=backend)


def _compare(what: str, expected: Tensor, found: Tensor, problem: _Problem) -> None:
    if found.shape != expected.shape:
        raise AssertionError(f"{what} is {list(found.shape)}, not {list(expected.shape)}; {problem}")
    tolerance = 1e-5 if expected.is_floating_point() else 0.0
    wrong = ~torch.isclose(found.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    if bool(wrong.any()):
        place = wrong.nonzero()[0].tolist()
        values = f"{found[tuple(place)].item()}, the reference has {expected[tuple(place)].item()}"
        raise AssertionError(f"{what} at {place} is {values}; {problem}")


def _problems(shapes: tuple[tuple[int, int, int], ...], device: str) -> Iterator[_Problem]:
    generator = torch.Generator().manual_seed(0)
    for distance in DISTANCES:
        for anchors, references, classes in shapes:
            sides = [
                (_whole(count, distance, generator).to(device), _labels(count, classes, generator).to(device))
                for count in (anchors, references)
            ]
            yield _Problem(distance, *sides[0], *(sides[1] if references else (None, None)))


def _whole(count: int, distance: str, generator: torch.Generator) -> Tensor:
    """Vectors between which float32 computes distances without an error; for cosines, of norm 4."""
    if distance == "cosine":
        return torch.randint(0, 2, (count, 16), generator=generator).float() * 2 - 1
    return torch.randint(-3, 4, (count, 5), generator=generator).float()


def _labels(count: int, classes: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, classes, (count,), generator=generator)
