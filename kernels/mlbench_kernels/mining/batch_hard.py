"""Batch-hard: the farthest positive and the nearest negative of every anchor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..engine import run_rule
from ..operators import fake, operator
from ..rules.extreme import Extreme
from .arguments import check_arguments, make_problem


@dataclass(frozen=True)
class BatchHard:
    """The hardest pairs of every anchor.

    Attributes:
        positive_index: `[N]`, int64, farthest reference of the anchor's label; -1 where there is none.
        positive_distance: `[N]`, its distance; NaN where there is none.
        negative_index: `[N]`, int64, nearest reference of another label; -1 where there is none.
        negative_distance: `[N]`, its distance; NaN where there is none.
        backend: the backend that ran.
    """

    positive_index: Tensor
    positive_distance: Tensor
    negative_index: Tensor
    negative_distance: Tensor
    backend: str


@operator("batch_hard")
def batch_hard_op(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Index and distance of the farthest positive and of the nearest negative."""
    problem = make_problem(anchors, labels, references, reference_labels, distance)
    (positive,) = run_rule(Extreme("positives", farthest=True), problem, backend)
    (negative,) = run_rule(Extreme("negatives"), problem, backend)
    far, near = problem.distances(torch.stack((positive, negative), dim=1)).unbind(dim=1)
    return positive, far.clone(), negative, near.clone()


@fake("batch_hard")
def _(anchors, labels, references, reference_labels, distance, backend):  # type: ignore[no-untyped-def]
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    index, value = labels.new_empty(len(labels)), anchors.new_empty(len(labels), dtype=dtype)
    return index, value, torch.empty_like(index), torch.empty_like(value)


def batch_hard(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    distance: str = "cosine",
    backend: str = "auto",
) -> BatchHard:
    """Find the farthest positive and the nearest negative of every anchor (Hermans et al., 2017).

    Without `references` the anchors are mined among themselves, and an anchor is not its own positive (by index; an
    equal row elsewhere may be). Of equally far references the one with the lowest index wins. The distances of the
    winners are computed anew, from differences in float64; they carry no gradient.

    Args:
        anchors: `[N, D]`, any floating-point dtype.
        labels: `[N]`, integers.
        references: `[M, D]`, or None for the square form.
        reference_labels: `[M]`, integers.
        distance: "cosine" (1 - cosine; a zero row has cosine 0), "euclidean" or "squared-euclidean".
        backend: "triton" (CUDA), "blocked" (any device), "reference" (dense float64), or "auto".

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> hardest = batch_hard(embeddings, torch.tensor([0, 0, 1, 2]))
    >>> hardest.positive_index.tolist(), hardest.negative_index.tolist()
    ([1, 0, -1, -1], [2, 2, 1, 2])
    """
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    positive, far, negative, near = batch_hard_op(*checked)
    return BatchHard(positive, far, negative, near, checked.backend)
