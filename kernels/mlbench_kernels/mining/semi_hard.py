"""Semi-hard negatives: for every anchor-positive pair, the nearest negative that is farther than the positive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Unpack

import torch
from torch import Tensor

from ..checks import check_choice
from ..engine.pairs import positive_pairs
from ..operators import fake
from .arguments import Options, check_arguments
from .certify import beyond, extreme
from .search import Search, empty_picks, mining_operator

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
        precision: the mode in which it multiplied.
    """

    anchor: Tensor
    positive: Tensor
    negative: Tensor
    positive_distance: Tensor
    negative_distance: Tensor
    backend: str
    precision: str


@mining_operator("semi_hard")
def semi_hard_op(
    search: Search, margin: float, fallback: str, certified: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Anchor, positive, negative, and the distances of the two pairs."""
    problem = search.problem
    anchor, positive, number = positive_pairs(problem)
    positive_distance = problem.pair_distances(anchor, positive, torch.float64)
    negative = torch.full_like(anchor, -1)
    if len(anchor):
        limits = positive_distance.new_full((len(problem.labels), int(number.max()) + 1), torch.nan)
        limits[anchor, number] = positive_distance
        negative = beyond(search, limits, certified)[anchor, number]
    outside = problem.pair_distances(anchor, negative, torch.float64) > positive_distance + margin
    negative = negative.masked_fill(outside, -1)
    if fallback != "none":
        negative = _fall_back(search, fallback, anchor, negative, certified)
    return anchor, positive, negative, positive_distance.to(problem.dtype), problem.pair_distances(anchor, negative)


@fake("semi_hard")
def _(anchors, *_):  # type: ignore[no-untyped-def]
    pairs = torch.library.get_ctx().new_dynamic_size()
    anchor, near = empty_picks(anchors, pairs)
    return anchor, torch.empty_like(anchor), torch.empty_like(anchor), near, torch.empty_like(near)


def _fall_back(search: Search, fallback: str, anchor: Tensor, negative: Tensor, certified: bool) -> Tensor:
    """Fill in the nearest or farthest negative of the anchors whose pairs have none."""
    lost = (negative < 0).nonzero().flatten()
    if not len(lost):
        return negative
    needy, place = anchor[lost].unique(return_inverse=True)
    problem = search.problem
    part = replace(problem, anchors=problem.anchors[needy], labels=problem.labels[needy], square=False)
    other = extreme(replace(search, problem=part), "negatives", fallback == "farthest", certified)
    return negative.index_put((lost,), other[place])


def semi_hard(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    margin: float = float("inf"),
    fallback: str = "none",
    certified: bool = False,
    **options: Unpack[Options],
) -> SemiHard:
    """FaceNet's semi-hard negatives (Schroff, Kalenichenko and Philbin, 2015), one for every anchor-positive pair.

    Args:
        anchors: `[N, D]`, any floating-point dtype.
        labels: `[N]`, integers.
        references: `[M, D]`, or None for the square form.
        reference_labels: `[M]`, integers.
        margin: how much farther than the positive the negative may be at most.
        fallback: what stands in where no negative fits: "none", the "nearest" negative or the "farthest" one.
        certified: as for `batch_hard`.
        **options: as for `batch_hard`.

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
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    anchor, positive, negative, near, far = semi_hard_op(*checked, float(margin), fallback, certified)
    return SemiHard(anchor, positive, negative, near, far, checked.backend, checked.precision)
