"""All triplets of an anchor, torch form: batch-all and semi-hard triplet loss without a list of triplets.

The hinge of a triplet is open where the negative lies in an interval that begins or ends at the positive. So the sum
over all triplets follows from how many positives each negative meets, and how many negatives each positive: two
comparisons for each positive, or two binary searches among the sorted positives, for each pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .compare import less
from .pair_loss import PairLoss
from .rule import Output, Pool, State, Tile

_FEW = 128  # positives up to which comparing with each costs less than searching


class Triplets(PairLoss):
    """`sum_n relu(t_k - d_in + margin)` over the negatives n, and how many of them count, for each positive k.

    Only the row sums of the first output mean anything: they are the sums over all triplets of an anchor. Semi-hard
    triplets have `t_k < d_in < t_k + margin`; a negative that is farther by no more than rounding is not farther.

    Args:
        pool: "negatives".
        margin: positive.
        semi_hard: 1 for semi-hard triplets only, 0 for all.
        thresholds: `[N, K]`, distances of an anchor's positives, ascending; minus infinity where there are fewer.
    """

    triton = "mlbench_kernels.rules.triplets_triton"
    outputs: Sequence[Output] = ("number", "count")

    def __init__(self, pool: Pool, *numbers: float, thresholds: Tensor | None = None) -> None:
        super().__init__(pool, *numbers, thresholds=thresholds)
        assert thresholds is not None
        self.width = thresholds.shape[1]

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        none = torch.zeros(rows, self.width, dtype=dtype, device=device)
        return none, none.long()

    def update(self, state: State, tile: Tile) -> State:
        """Count first: in a sum over triplets a distance appears as often as its pair counts."""
        total, count = self._sums(tile.distance.contiguous(), tile.thresholds)
        return state[0] + total, state[1] + count

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """Sums and counts."""
        return state

    def weight(self, tile: Tile, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """Minus the number of positives that a negative meets."""
        met, _ = self._count(tile.distance.contiguous(), tile.thresholds)
        return met.mul_(-upstream[:, :1])

    def threshold_weight(self, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """The number of negatives that a positive meets."""
        return upstream * outputs[1]

    def _sums(self, distance: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        met, count = self._count(distance, thresholds)
        # Relative to the farthest positive, so that few digits cancel. Pairs outside the pool meet nothing.
        origin = thresholds[:, -1:].detach().clamp_min(0)
        gain = count * (thresholds.clamp_min(0) + (self.numbers[0] - origin))
        loss = (met * (distance.clamp_max(torch.finfo(distance.dtype).max) - origin)).sum(dim=1)
        gain = torch.cat((gain[:, :-1], gain[:, -1:] - loss[:, None]), dim=1)
        return gain, count.long()

    def _count(self, distance: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        """Open triplets of each negative `[B, C]`, and of each positive `[B, K]`."""
        distance, thresholds = distance.detach(), thresholds.detach()
        margin, semi_hard = self.numbers
        far, near = thresholds + margin, None
        if semi_hard:
            near = thresholds * (1 + 4 * torch.finfo(distance.dtype).eps)
        count = _by_comparing if self.width <= _FEW else _by_searching
        return count(distance, far, near)


def _by_comparing(distance: Tensor, far: Tensor, near: Tensor | None) -> tuple[Tensor, Tensor]:
    met, open_pairs = torch.zeros_like(distance), torch.empty_like(distance)
    counts = []
    for k in range(far.shape[1]):
        count = less(distance, far[:, k : k + 1], open_pairs).sum(dim=1)
        met += open_pairs
        if near is not None:
            count -= torch.le(distance, near[:, k : k + 1], out=open_pairs).sum(dim=1)
            met -= open_pairs
        counts.append(count)
    return met, torch.stack(counts, dim=1)


def _by_searching(distance: Tensor, far: Tensor, near: Tensor | None) -> tuple[Tensor, Tensor]:
    met, count = _search(distance, far, right=True)
    if near is not None:
        nearer, fewer = _search(distance, near, right=False)
        met, count = met - nearer, count - fewer
    return met.to(distance.dtype), count.to(distance.dtype)


def _search(distance: Tensor, limits: Tensor, right: bool) -> tuple[Tensor, Tensor]:
    """How many of the sorted limits are above (or, unless `right`, not below) a distance, and how many distances
    are so below a limit.
    """  # noqa: D205
    place = torch.searchsorted(limits.contiguous(), distance, right=right)  # the first limit that is
    width = limits.shape[1]
    seen = torch.zeros(len(limits), width + 1, dtype=torch.int64, device=limits.device)
    seen.scatter_add_(1, place, torch.ones_like(place))  # whole numbers: no order of addition matters
    return width - place, seen.cumsum(dim=1)[:, :-1]
