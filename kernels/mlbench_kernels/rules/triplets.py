"""All triplets of an anchor, torch form: batch-all and semi-hard triplet loss without a list of triplets.

The hinge of a triplet is open where the negative lies in an interval that begins or ends at the positive. So the sum
over all triplets follows from how many positives each negative meets, and how many negatives each positive.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .intervals import stab
from .pair_loss import PairLoss
from .rule import Output, Pool, State, Tile


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
        return self._count(state, tile)[0]

    def update_and_weigh(self, state: State, tile: Tile) -> tuple[State, Tensor]:
        """What counts is what pairs are worth."""
        after, met = self._count(state, tile)
        return after, met.neg_()

    def _count(self, state: State, tile: Tile) -> tuple[State, Tensor]:
        distance, thresholds = tile.distance.contiguous(), tile.thresholds
        count = torch.empty_like(thresholds, dtype=torch.int64)
        met = stab(distance.detach(), *self._open(thresholds), count)
        # Relative to the farthest positive, so that few digits cancel. Pairs outside the pool meet nothing.
        origin = thresholds[:, -1:].detach().clamp_min(0)
        gain = count * (thresholds.clamp_min(0) + (self.numbers[0] - origin))
        loss = (met * (distance.clamp_max(torch.finfo(distance.dtype).max) - origin)).sum(dim=1)
        total = torch.cat((gain[:, :-1], gain[:, -1:] - loss[:, None]), dim=1)
        return (state[0] + total, state[1] + count), met

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """Sums and counts."""
        return state

    def weight(self, tile: Tile, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """Minus the number of positives that a negative meets."""
        return stab(tile.distance.contiguous(), *self._open(tile.thresholds)).mul_(-upstream[:, :1])

    def threshold_weight(self, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """The number of negatives that a positive meets."""
        return upstream * outputs[1]

    def _open(self, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        """Where the distances of the negatives that a positive meets begin and end, `[B, K]` each."""
        thresholds = thresholds.detach()
        margin, semi_hard = self.numbers
        near = torch.full_like(thresholds, -torch.inf)
        if semi_hard:
            far = thresholds * (1 + 4 * torch.finfo(thresholds.dtype).eps)
            near = torch.where(far > -torch.inf, far.nextafter(-near), near)
        return near, thresholds + margin
