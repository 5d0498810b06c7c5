"""Semi-hard negatives: for every anchor-positive pair, the nearest negative that is farther than the positive."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_choice
from ..engine import Problem, run_rule
from ..engine.pairs import positive_pairs
from ..operators import fake, operator
from ..rules.beyond import Beyond
from ..rules.extreme import Extreme
from .arguments import check_arguments, make_problem

FALLBACKS = ("none", "nearest", "farthest")


@dataclass(frozen=True)
class SemiHard:
    """One triplet for every anchor-positive pair, ordered by anchor, then by positive.

    Attributes:
        anchor: `[P]`, int64.
        positive: `[P]`, int64.
        negative: `[P]`, int64; -1 where no negative fits.
        positive_distance: `[P]`, computed from differences in float64, without gradient.
        negative_distance: `[P]`, likewise; NaN where no negative fits.
        backend: the backend that ran.
    """

    anchor: Tensor
    positive: Tensor
    negative: Tensor
    positive_distance: Tensor
    negative_distance: Tensor
    backend: str


@operator("semi_hard")
def semi_hard_op(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    backend: str,
    margin: float,
    fallback: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Anchor, positive, negative, and the distances of the two pairs."""
    problem = make_problem(anchors, labels, references, reference_labels, distance)
    anchor, positive, number = positive_pairs(problem)
    positive_distance = problem.pair_distances(anchor, positive, torch.float64)
    negative = torch.full_like(anchor, -1)
    if len(anchor):
        limits = positive_distance.new_full((len(labels), int(number.max()) + 1), torch.nan)
        limits[anchor, number] = positive_distance
        (beyond,) = run_rule(Beyond("negatives", limits), problem, backend)
        negative = beyond[anchor, number]
    outside = problem.pair_distances(anchor, negative, torch.float64) > positive_distance + margin
    negative = negative.masked_fill(outside, -1)
    if fallback != "none":
        negative = _fall_back(problem, backend, fallback, anchor, negative)
    return anchor, positive, negative, positive_distance.to(problem.dtype), problem.pair_distances(anchor, negative)


@fake("semi_hard")
def _(anchors, labels, references, reference_labels, distance, backend, margin, fallback):  # type: ignore[no-untyped-def]
    pairs = torch.library.get_ctx().new_dynamic_size()
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    index = [labels.new_empty(pairs) for _ in range(3)]
    return *index, anchors.new_empty(pairs, dtype=dtype), anchors.new_empty(pairs, dtype=dtype)


def _fall_back(problem: Problem, backend: str, fallback: str, anchor: Tensor, negative: Tensor) -> Tensor:
    """Fill in the nearest or farthest negative of the anchors whose pairs have none."""
    lost = (negative < 0).nonzero().flatten()
    if not len(lost):
        return negative
    needy, place = anchor[lost].unique(return_inverse=True)
    part = Problem(
        problem.anchors[needy], problem.labels[needy], problem.references, problem.reference_labels, False,
        problem.distance,
    )  # fmt: skip
    (other,) = run_rule(Extreme("negatives", fallback == "farthest"), part, backend)
    return negative.index_put((lost,), other[place])


def semi_hard(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    margin: float = float("inf"),
    fallback: str = "none",
    distance: str = "cosine",
    backend: str = "auto",
) -> SemiHard:
    """FaceNet's semi-hard negatives (Schroff, Kalenichenko and Philbin, 2015), one for every anchor-positive pair.

    Args:
        anchors: `[N, D]`, any floating-point dtype.
        labels: `[N]`, integers.
        references: `[M, D]`, or None for the square form.
        reference_labels: `[M]`, integers.
        margin: how much farther than the positive the negative may be at most.
        fallback: what stands in where no negative fits: "none", the "nearest" negative or the "farthest" one.
        distance: as for `batch_hard`.
        backend: as for `batch_hard`.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> embeddings = torch.tensor([[0.0], [2.0], [1.0], [3.0]])
    >>> mined = semi_hard(embeddings, torch.tensor([0, 0, 1, 2]), distance="euclidean")
    >>> mined.anchor.tolist(), mined.positive.tolist(), mined.negative.tolist()
    ([0, 1], [1, 0], [3, -1])
    """
    check_choice("fallback", fallback, FALLBACKS)
    if not margin > 0:
        raise ValueError(f"margin: {margin!r}; expected a positive number")
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    anchor, positive, negative, near, far = semi_hard_op(*checked, float(margin), fallback)
    return SemiHard(anchor, positive, negative, near, far, checked.backend)
