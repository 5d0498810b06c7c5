"""Where a loss gets its pairs from: all pairs of a batch, streamed, or those that a miner listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..rules.pair_loss import PairLoss
from ..rules.rule import Pool, Tile
from .listed import pair_distances_op, positive_pairs_op
from .statistics import pair_loss
from .totals import pair_total


class Pairs(Protocol):
    """Pairs of anchors `[N, D]` with references."""

    anchors: Tensor

    def statistics(self, rule: PairLoss) -> tuple[Tensor, ...]:
        """The outputs of `rule`, `[N]` or `[N, width]` each, over the pairs of its pool."""
        ...

    def total(self, rule: PairLoss) -> tuple[Tensor, ...]:
        """The same, the first output summed over the anchors, `[]`; of a rule whose `weight` needs no outputs."""
        ...

    def count(self, pool: Pool) -> Tensor:
        """How many pairs of `pool` each anchor has, `[N]`."""
        ...

    def positives(self) -> tuple[Tensor, Tensor, Tensor]:
        """Anchors, references and differentiable distances of the positive pairs, `[P]` each."""
        ...


@dataclass
class AllPairs:
    """All pairs of a batch, or of a batch and its references; fields as in `pair_loss`."""

    anchors: Tensor
    labels: Tensor
    references: Tensor | None
    reference_labels: Tensor | None
    distance: str
    backend: str
    precision: str

    def statistics(self, rule: PairLoss) -> tuple[Tensor, ...]:
        """Streamed, in O((N + M) D) memory."""
        return self._stream(pair_loss, rule)

    def _stream(self, loss: Callable[..., tuple[Tensor, ...]], rule: PairLoss) -> tuple[Tensor, ...]:
        return loss(
            rule, self.anchors, self.labels, self.references, self.reference_labels,
            distance=self.distance, backend=self.backend, precision=self.precision,
        )  # fmt: skip

    def total(self, rule: PairLoss) -> tuple[Tensor, ...]:
        """Streamed once for value and gradient."""
        return self._stream(pair_total, rule)

    def count(self, pool: Pool) -> Tensor:
        """From the sorted labels."""
        square = self.reference_labels is None
        ordered = (self.labels if self.reference_labels is None else self.reference_labels).sort().values
        last = torch.searchsorted(ordered, self.labels, right=True)
        same = last - torch.searchsorted(ordered, self.labels)
        return {"positives": same - int(square), "negatives": len(ordered) - same}[pool]

    def positives(self) -> tuple[Tensor, Tensor, Tensor]:
        """Listed, in O(P) memory."""
        anchor, reference, _ = positive_pairs_op(self.labels, self.reference_labels)
        return anchor, reference, pair_distances_op(self.anchors, self.references, self.distance, anchor, reference)


@dataclass
class ListedPairs:
    """The pairs of a miner, `[P]` positive and `[Q]` negative ones, in O(N (D + K)) memory for K pairs of an anchor."""

    anchors: Tensor
    references: Tensor | None
    distance: str
    indices: dict[Pool, tuple[Tensor, Tensor]]

    def statistics(self, rule: PairLoss) -> tuple[Tensor, ...]:
        """An anchor's pairs are a row of a tile."""
        if rule.pool == "others":
            both = zip(self.indices["positives"], self.indices["negatives"], strict=True)
            anchor, reference = (torch.cat(parts) for parts in both)
        else:
            anchor, reference = self.indices[rule.pool]
        tile = self._tile(rule, anchor, reference)
        return rule.finish(rule.update(rule.init(len(self.anchors), tile.distance.dtype, anchor.device), tile))

    def _tile(self, rule: PairLoss, anchor: Tensor, reference: Tensor) -> Tile:
        distance = pair_distances_op(self.anchors, self.references, self.distance, anchor, reference)
        order = anchor.argsort(stable=True)
        row = anchor[order]
        count = torch.bincount(anchor, minlength=len(self.anchors))
        slot = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        shape = len(count), max(1, int(count.max()))
        rows, columns = (torch.arange(size, device=row.device) for size in shape)
        dense = distance.new_full(shape, rule.absent).index_put((row, slot), distance[order])
        limits = dense[:, :0] if rule.thresholds is None else rule.thresholds
        return Tile(dense, 0, rows, columns, limits)

    def total(self, rule: PairLoss) -> tuple[Tensor, ...]:
        """Of what `statistics` returns."""
        first, *others = self.statistics(rule)
        return first.sum(), *others

    def count(self, pool: Pool) -> Tensor:
        """From the lists."""
        return torch.bincount(self.indices[pool][0], minlength=len(self.anchors))

    def positives(self) -> tuple[Tensor, Tensor, Tensor]:
        """As listed."""
        anchor, reference = self.indices["positives"]
        return anchor, reference, pair_distances_op(self.anchors, self.references, self.distance, anchor, reference)


def list_pairs(indices: tuple[Tensor, ...]) -> dict[Pool, tuple[Tensor, Tensor]]:
    """Positive and negative pairs of what a miner returned.

    Raises:
        ValueError: it is neither a triple nor a quadruple of indices.
    """
    if len(indices) not in (3, 4):
        raise ValueError(f"indices_tuple: {len(indices)} tensors; expected 3 (triplets) or 4 (pairs)")
    anchor, positive, *rest = (part.long() for part in indices)
    return {"positives": (anchor, positive), "negatives": (anchor, rest[0]) if len(rest) == 1 else (rest[0], rest[1])}


def list_triplets(indices: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Triplets of what a miner returned: of pairs, every positive with every negative of its anchor.

    Raises:
        ValueError: it is neither a triple nor a quadruple of indices.

    >>> pairs = torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0, 0]), torch.tensor([2, 3])
    >>> list_triplets(pairs)
    (tensor([0, 0]), tensor([1, 1]), tensor([2, 3]))
    """
    pairs = list_pairs(indices)
    if len(indices) == 3:
        return *pairs["positives"], pairs["negatives"][1]
    (first, positive), (second, negative) = pairs["positives"], pairs["negatives"]
    second, order = second.sort(stable=True)
    start = torch.searchsorted(second, first)
    count = torch.searchsorted(second, first, right=True) - start
    pair = torch.arange(len(first), device=first.device).repeat_interleave(count)
    number = torch.arange(len(pair), device=pair.device) - (count.cumsum(0) - count)[pair]
    return first[pair], positive[pair], negative[order][start[pair] + number]


def distinct(pairs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Each pair once, in ascending order."""
    anchor, reference = torch.stack(pairs, dim=1).unique(dim=0).unbind(dim=1)
    return anchor, reference
