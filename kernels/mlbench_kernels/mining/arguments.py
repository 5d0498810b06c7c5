"""What all mining functions take, checked once."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from torch import Tensor

from ..checks import check_choice, check_finite, check_labels, check_matrix, check_references
from ..dispatch import choose_backend
from ..engine import DISTANCES, Problem
from ..precision import choose_precision

BACKENDS = ("triton", "blocked", "reference")


class Options(TypedDict, total=False):
    """Keywords of every mining function.

    Attributes:
        distance: "cosine" (1 - cosine; a zero row has cosine 0), "euclidean" or "squared-euclidean"; default "cosine".
        backend: "triton" (CUDA), "blocked" (any device), "reference" (dense float64), or "auto", the default.
        precision: how the backend "triton" multiplies float32: "ieee", "tf32x3", "bf16x3", "tf32", "bf16", or "auto",
            the default; see `mlbench_kernels.precision`. The others compute in real float32, which is "ieee".
    """

    distance: str
    backend: str
    precision: str


class Arguments(NamedTuple):
    """The arguments that all mining operators begin with.

    Attributes:
        anchors: `[N, D]`, detached.
        labels: `[N]`, int64.
        references: `[M, D]`, detached, or None for the square form.
        reference_labels: `[M]`, int64, or None.
        distance: one of `DISTANCES`.
        backend: the backend to run.
        precision: the mode in which it multiplies.
    """

    anchors: Tensor
    labels: Tensor
    references: Tensor | None
    reference_labels: Tensor | None
    distance: str
    backend: str
    precision: str


def check_arguments(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str = "cosine",
    backend: str = "auto",
    precision: str = "auto",
) -> Arguments:
    """Check everything but the values, choose backend and mode; nothing here stops a graph from being traced.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.
    """
    check_choice("distance", distance, DISTANCES)
    check_matrix("anchors", anchors)
    check_labels("labels", labels, "anchors", anchors)
    check_references("anchors", anchors, references, reference_labels)
    backend = choose_backend(backend, BACKENDS, anchors)
    return Arguments(
        anchors.detach(),
        labels.long(),
        None if references is None else references.detach(),
        None if reference_labels is None else reference_labels.long(),
        distance,
        backend,
        choose_precision(precision, backend, anchors),
    )


def make_problem(
    anchors: Tensor, labels: Tensor, references: Tensor | None, reference_labels: Tensor | None, distance: str
) -> Problem:
    """The problem that an operator's arguments describe.

    Raises:
        ValueError: names the first row that is not finite.
    """
    check_finite("anchors", anchors)
    if references is None or reference_labels is None:
        return Problem(anchors, labels, anchors, labels, True, distance)
    check_finite("references", references)
    return Problem(anchors, labels, references, reference_labels, False, distance)
