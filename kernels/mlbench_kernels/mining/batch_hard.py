"""Batch-hard: the farthest positive and the nearest negative of every anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from ..operators import fake
from .arguments import Options, check_arguments
from .certify import extreme
from .search import Search, empty_picks, mining_operator


@dataclass(frozen=True)
class BatchHard:
    """The hardest pairs of every anchor.

    Attributes:
        positive_index: `[N]`, int64, farthest reference of the anchor's label; -1 where there is none.
        positive_distance: `[N]`, its distance; NaN where there is none.
        negative_index: `[N]`, int64, nearest reference of another label; -1 where there is none.
        negative_distance: `[N]`, its distance; NaN where there is none.
        backend: the backend that ran.
        precision: the mode in which it multiplied.
    """

    positive_index: Tensor
    positive_distance: Tensor
    negative_index: Tensor
    negative_distance: Tensor
    backend: str
    precision: str


@mining_operator("batch_hard")
def batch_hard_op(search: Search, certified: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Index and distance of the farthest positive and of the nearest negative."""
    positive = extreme(search, "positives", True, certified)
    negative = extreme(search, "negatives", False, certified)
    far, near = search.problem.distances(torch.stack((positive, negative), dim=1)).unbind(dim=1)
    return positive, far.clone(), negative, near.clone()


@fake("batch_hard")
def _(anchors, *_):  # type: ignore[no-untyped-def]
    return *empty_picks(anchors, len(anchors)), *empty_picks(anchors, len(anchors))


def batch_hard(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    certified: bool = False,
    **options: Unpack[Options],
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
        certified: prove that each pick is that of float64, or find that; see `mining.certify`.
        **options: `distance` ("cosine", "euclidean", "squared-euclidean"), `backend` ("auto", "triton", "blocked",
            "reference") and `precision` ("auto", "ieee", "tf32x3", "bf16x3", "tf32", "bf16"); see `mining.Options`.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> hardest = batch_hard(embeddings, torch.tensor([0, 0, 1, 2]))
    >>> hardest.positive_index.tolist(), hardest.negative_index.tolist()
    ([1, 0, -1, -1], [2, 2, 1, 2])
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    positive, far, negative, near = batch_hard_op(*checked, certified)
    return BatchHard(positive, far, negative, near, checked.backend, checked.precision)
