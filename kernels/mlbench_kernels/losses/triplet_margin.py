"""Triplet margin loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..checks import check_choice
from ..mining import batch_hard, semi_hard
from ..rules.triplets import Triplets
from .listed import pair_distances_op, positive_slots_op
from .metric_loss import MetricLoss, mean
from .pairs import AllPairs, list_triplets

KINDS = ("all", "semi-hard")


class TripletMarginLoss(MetricLoss):
    """`relu(d_ap - d_an + margin)`, averaged over the triplets where it is not 0.

    Over the triplets of a miner: O(N D + T) memory. Over all triplets of a batch, or all semi-hard ones: O(N K) memory
    beside the embeddings, for K positives of an anchor, and no list of triplets. A drop-in for
    pytorch-metric-learning's loss of this name; `kind="semi-hard"` is that with its `TripletMarginMiner` of the same
    margin and type "semihard".

    Args:
        margin: how much nearer than the negative the positive must be.
        swap: use the distance of positive and negative where it is smaller than that of anchor and negative. Only for
            triplets of a miner.
        smooth_loss: `log(1 + exp(d_ap - d_an + margin))` instead. Only for triplets of a miner.
        kind: what to sum over without a miner: "all" triplets, or the "semi-hard" ones (Schroff, Kalenichenko and
            Philbin, "FaceNet", 2015), `0 < d_an - d_ap < margin`.
        distance: see `MetricLoss`, as the others.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> embeddings = torch.tensor([[0.0], [0.5], [0.75]])
    >>> loss = TripletMarginLoss(margin=1.0, normalize_embeddings=False)
    >>> loss(embeddings, torch.tensor([0, 0, 1])), loss.terms
    (tensor(1.), tensor(2))
    """

    def __init__(
        self,
        margin: float = 0.05,
        swap: bool = False,
        smooth_loss: bool = False,
        kind: str = "all",
        distance: str = "euclidean",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(distance, normalize_embeddings, backend, precision)
        check_choice("kind", kind, KINDS)
        self.margin = margin
        self.swap = swap
        self.smooth_loss = smooth_loss
        self.kind = kind

    def over(
        self,
        anchors: Tensor,
        labels: Tensor | None,
        indices: tuple[Tensor, ...] | None,
        references: Tensor | None,
        reference_labels: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The mean over the open triplets, and their number."""
        if indices is not None:
            return self._of_listed(anchors, references, *list_triplets(indices))
        if self.swap or self.smooth_loss:
            raise ValueError("swap, smooth_loss: True, which needs the triplets of a miner; give an indices_tuple")
        return self._of_all(self.all_pairs(anchors, labels, references, reference_labels))

    def _of_all(self, pairs: AllPairs) -> tuple[Tensor, Tensor]:
        anchor, reference, slots = positive_slots_op(pairs.labels, pairs.reference_labels)
        distance = pair_distances_op(pairs.anchors, pairs.references, self.distance, anchor, reference)
        distance = torch.cat((distance, distance.new_full((1,), -torch.inf)))  # of the positives that do not exist
        thresholds = distance.index_select(0, slots.flatten()).view_as(slots).sort(dim=1).values
        rule = Triplets("negatives", self.margin, float(self.kind == "semi-hard"), thresholds=thresholds)
        total, count = pairs.total(rule)
        return mean(total, count.sum()), count.sum()

    def _of_listed(
        self, anchors: Tensor, references: Tensor | None, anchor: Tensor, positive: Tensor, negative: Tensor
    ) -> tuple[Tensor, Tensor]:
        near = pair_distances_op(anchors, references, self.distance, anchor, positive)
        far = pair_distances_op(anchors, references, self.distance, anchor, negative)
        if self.swap:
            rows = anchors if references is None else references
            far = far.minimum(pair_distances_op(rows, None, self.distance, positive, negative))
        excess = near - far + self.margin
        costs = softplus(excess) if self.smooth_loss else excess.relu()
        terms = (costs > 0).sum()
        return mean(costs.sum(), terms), terms


class MinedTripletLoss(TripletMarginLoss):
    """Triplet margin loss on triplets that it mines itself, in one call and with one engine.

    The hardest positive and negative of every anchor (Hermans, Beyer and Leibe, 2017), or FaceNet's: for every
    anchor-positive pair the nearest negative farther than the positive, within the margin or not. O(N D) memory.

    Args:
        margin: how much nearer than the negative the positive must be.
        mining: "batch-hard" or "semi-hard".
        distance: see `MetricLoss`, as the others.
        normalize_embeddings: see there.
        backend: see there.
        precision: see there.

    >>> embeddings = torch.tensor([[0.0], [0.5], [0.75]])
    >>> loss = MinedTripletLoss(margin=1.0, mining="batch-hard", normalize_embeddings=False)
    >>> loss(embeddings, torch.tensor([0, 0, 1])), loss.terms
    (tensor(1.), tensor(2))
    """

    def __init__(
        self,
        margin: float = 0.2,
        mining: str = "semi-hard",
        distance: str = "euclidean",
        normalize_embeddings: bool = True,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(
            margin, distance=distance, normalize_embeddings=normalize_embeddings, backend=backend, precision=precision
        )
        check_choice("mining", mining, MINING)
        self.mining = mining

    def over(
        self,
        anchors: Tensor,
        labels: Tensor | None,
        indices: tuple[Tensor, ...] | None,
        references: Tensor | None,
        reference_labels: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The mean over the mined triplets that are open, or over those given."""
        if indices is None:
            pairs = self.all_pairs(anchors, labels, references, reference_labels)
            indices = MINING[self.mining](pairs)
        return super().over(anchors, labels, indices, references, reference_labels)


def _hard(pairs: AllPairs) -> tuple[Tensor, ...]:
    found = batch_hard(*_problem(pairs), distance=pairs.distance, backend=pairs.backend, precision=pairs.precision)
    anchor = ((found.positive_index >= 0) & (found.negative_index >= 0)).nonzero().flatten()
    return anchor, found.positive_index[anchor], found.negative_index[anchor]


def _semi_hard(pairs: AllPairs) -> tuple[Tensor, ...]:
    found = semi_hard(*_problem(pairs), distance=pairs.distance, backend=pairs.backend, precision=pairs.precision)
    given = (found.negative >= 0).nonzero().flatten()
    return found.anchor[given], found.positive[given], found.negative[given]


def _problem(pairs: AllPairs) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    return pairs.anchors, pairs.labels, pairs.references, pairs.reference_labels


MINING = {"batch-hard": _hard, "semi-hard": _semi_hard}
