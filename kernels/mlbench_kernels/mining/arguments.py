"""What all mining functions take, checked once."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..checks import check_choice, check_finite, check_labels, check_matrix, check_references
from ..dispatch import choose_backend
from ..engine import DISTANCES, Problem

BACKENDS = ("triton", "blocked", "reference")


class Arguments(NamedTuple):
    """The arguments of a mining operator, in the order of its signature.

    Attributes:
        anchors: `[N, D]`, detached.
        labels: `[N]`, int64.
        references: `[M, D]`, detached, or None for the square form.
        reference_labels: `[M]`, int64, or None.
        distance: one of `DISTANCES`.
        backend: the backend to run.
    """

    anchors: Tensor
    labels: Tensor
    references: Tensor | None
    reference_labels: Tensor | None
    distance: str
    backend: str


def check_arguments(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    backend: str,
) -> Arguments:
    """Check everything but the values, and choose the backend; nothing here stops a graph from being traced.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.
    """
    check_choice("distance", distance, DISTANCES)
    check_matrix("anchors", anchors)
    check_labels("labels", labels, "anchors", anchors)
    check_references("anchors", anchors, references, reference_labels)
    return Arguments(
        anchors.detach(),
        labels.long(),
        None if references is None else references.detach(),
        None if reference_labels is None else reference_labels.long(),
        distance,
        choose_backend(backend, BACKENDS, anchors),
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
