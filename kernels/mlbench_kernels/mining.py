"""Mining functions: for each anchor, which references to train against."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_choice, check_embeddings, check_labels, check_references
from .dispatch import choose_backend
from .engine import DISTANCES, Problem, run_rule
from .rules.batch_hard import BatchHardRule

_BACKENDS = ("triton", "blocked", "reference")


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


@torch.no_grad()
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
    check_choice("distance", distance, DISTANCES)
    check_embeddings("anchors", anchors)
    check_labels("labels", labels, "anchors", anchors)
    check_references("anchors", anchors, references, reference_labels)
    chosen = choose_backend(backend, _BACKENDS, anchors)
    square = references is None or reference_labels is None
    labels = labels.long()
    problem = Problem(
        anchors=anchors,
        labels=labels,
        references=anchors if references is None else references,
        reference_labels=labels if reference_labels is None else reference_labels.long(),
        square=square,
        distance=distance,
    )
    positive, negative = run_rule(BatchHardRule(), problem, chosen)
    return BatchHard(positive, problem.distances(positive), negative, problem.distances(negative), chosen)
