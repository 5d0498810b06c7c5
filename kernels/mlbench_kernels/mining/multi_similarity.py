"""Multi-similarity mining: the pairs that are hard by the standard of the anchor's hardest opposite pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from ..engine.pairs import negatives_below, positive_pairs
from ..operators import fake
from ..rules.extreme import Extreme
from .arguments import Options, check_arguments
from .search import Search, mining_operator


@dataclass(frozen=True)
class MultiSimilarity:
    """The hard pairs.

    Attributes:
        positive_anchor: `[P]`, int64.
        positive: `[P]`, int64, its positives, ascending for each anchor.
        negative_anchor: `[Q]`, int64.
        negative: `[Q]`, int64, its negatives, ascending for each anchor.
        backend: the backend that found the farthest positives; for "triton", the negatives are found by "blocked".
        precision: the mode in which it multiplied.
    """

    positive_anchor: Tensor
    positive: Tensor
    negative_anchor: Tensor
    negative: Tensor
    backend: str
    precision: str


@mining_operator("multi_similarity")
def multi_similarity_op(search: Search, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Anchors and positives of the hard positive pairs, anchors and negatives of the hard negative pairs."""
    problem = search.problem
    (farthest,) = search.run(Extreme("positives", farthest=True))
    # NaN, where there is no opposite pair, makes no pair hard.
    limit = problem.distances(farthest) + epsilon
    backend = "reference" if search.backend == "reference" else "blocked"
    nearest, negative_anchor, negative = negatives_below(problem, limit, backend)
    anchor, positive, _ = positive_pairs(problem)
    hard = problem.pair_distances(anchor, positive) > problem.distances(nearest)[anchor] - epsilon
    return anchor[hard], positive[hard], negative_anchor, negative


@fake("multi_similarity")
def _(anchors, labels, *_):  # type: ignore[no-untyped-def]
    positives, negatives = (torch.library.get_ctx().new_dynamic_size() for _ in range(2))
    return tuple(labels.new_empty(pairs) for pairs in (positives, positives, negatives, negatives))


def multi_similarity(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    epsilon: float = 0.1,
    **options: Unpack[Options],
) -> MultiSimilarity:
    """Hard pairs of Wang et al., "Multi-Similarity Loss with General Pair Weighting", 2019, equations 4 and 5.

    A positive pair is hard if it is farther than the anchor's nearest negative less `epsilon`; a negative pair if it is
    nearer than the anchor's farthest positive plus `epsilon`. Other arguments and errors as for `batch_hard`.

    >>> embeddings = torch.tensor([[0.0], [2.0], [1.0], [3.0]])
    >>> mined = multi_similarity(embeddings, torch.tensor([0, 0, 1, 2]), distance="euclidean")
    >>> mined.positive_anchor.tolist(), mined.negative_anchor.tolist(), mined.negative.tolist()
    ([0, 1], [0, 1, 1], [2, 2, 3])
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    first, positive, second, negative = multi_similarity_op(*checked, float(epsilon))
    return MultiSimilarity(first, positive, second, negative, checked.backend, checked.precision)
