"""Distance-weighted sampling: a random negative for every anchor-positive pair, spread over all distances."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..engine.pairs import positive_pairs
from ..operators import fake
from ..rules.distance_weighted import DistanceWeighted
from .arguments import check_arguments
from .search import Search, empty_picks, mining_operator


@dataclass(frozen=True)
class WeightedNegatives:
    """One triplet for every anchor-positive pair, ordered by anchor, then by positive.

    Attributes:
        anchor: `[P]`, int64.
        positive: `[P]`, int64.
        negative: `[P]`, int64; -1 where no negative has a weight.
        backend: the backend that ran.
        precision: the mode in which it multiplied.
    """

    anchor: Tensor
    positive: Tensor
    negative: Tensor
    backend: str
    precision: str


@mining_operator("distance_weighted")
def distance_weighted_op(
    search: Search, seed: int, cutoff: float, nonzero_loss_cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Anchor, positive and sampled negative."""
    problem = search.problem
    anchor, positive, number = positive_pairs(problem)
    if not len(anchor):
        return anchor, positive, torch.empty_like(anchor)
    count, dimension = problem.anchors.shape
    rule = DistanceWeighted(
        "negatives", count, int(number.max()) + 1, seed, dimension, cutoff, nonzero_loss_cutoff, anchor.device
    )
    (negative,) = search.run(rule)
    return anchor, positive, negative[anchor, number]


@fake("distance_weighted")
def _(anchors, *_):  # type: ignore[no-untyped-def]
    pairs = torch.library.get_ctx().new_dynamic_size()
    anchor = empty_picks(anchors, pairs)[0]
    return anchor, torch.empty_like(anchor), torch.empty_like(anchor)


def distance_weighted(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    seed: int,
    cutoff: float = 0.5,
    nonzero_loss_cutoff: float = 1.4,
    backend: str = "auto",
    precision: str = "auto",
) -> WeightedNegatives:
    """Sample negatives as in Wu et al., "Sampling Matters in Deep Embedding Learning", 2017, section 4.1.

    A negative at distance d, Euclidean between rows normalised to the unit sphere of D dimensions, is drawn with a
    weight proportional to `d^(2 - D) (1 - d²/4)^((3 - D)/2)`, the inverse of the density of distances between random
    points; every pair of an anchor draws anew. The result depends on the seed and the indices of the rows, not on the
    device or how the work was split, but for draws that are too close to call.

    Args:
        anchors: `[N, D]`, any floating-point dtype.
        labels: `[N]`, integers.
        references: `[M, D]`, or None for the square form.
        reference_labels: `[M]`, integers.
        seed: a whole number; 64 bits of it count.
        cutoff: nearer negatives weigh as much as one at this distance.
        nonzero_loss_cutoff: negatives at this distance or farther are not drawn.
        backend: as for `batch_hard`.
        precision: as for `batch_hard`.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> drawn = distance_weighted(embeddings, torch.tensor([0, 0, 1, 2]), seed=0, nonzero_loss_cutoff=1.5)
    >>> drawn.anchor.tolist(), drawn.positive.tolist(), drawn.negative.tolist()
    ([0, 1], [1, 0], [2, 2])
    """
    for name, value in (("cutoff", cutoff), ("nonzero_loss_cutoff", nonzero_loss_cutoff)):
        if not value > 0:
            raise ValueError(f"{name}: {value!r}; expected a positive distance")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed: {seed!r}; expected a whole number")
    checked = check_arguments(anchors, labels, references, reference_labels, "cosine", backend, precision)
    signed = (seed + (1 << 63)) % (1 << 64) - (1 << 63)  # what an operator's integer holds
    anchor, positive, negative = distance_weighted_op(*checked, signed, float(cutoff), float(nonzero_loss_cutoff))
    return WeightedNegatives(anchor, positive, negative, checked.backend, checked.precision)
