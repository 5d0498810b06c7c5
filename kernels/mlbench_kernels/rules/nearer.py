"""How many candidates are nearer than each threshold, torch form: what ranks and proofs are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .rule import BaseRule, Output, Pool, State, Tile

_FEW = 16  # thresholds up to which one look per threshold costs less than sorting the tile


class Nearer(BaseRule):
    """State `(count [rows, T],)`; equality does not count, and nothing is nearer than NaN.

    Args:
        pool: "positives", "negatives" or "others".
        thresholds: `[N, T]`, distances.
    """

    outputs: Sequence[Output] = ("count",)
    triton = "mlbench_kernels.rules.nearer_triton"

    def __init__(self, pool: Pool, thresholds: Tensor) -> None:
        self.pool = pool
        self.thresholds = thresholds
        self.width = thresholds.shape[1]
        self.constants = (self.width,)

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing counted."""
        return (torch.zeros(rows, self.width, dtype=torch.int64, device=device),)

    def update(self, state: State, tile: Tile) -> State:
        """The same as counting by looking at each threshold, in the order that is faster."""
        limits = tile.thresholds
        if self.width <= _FEW:
            counts = [(tile.distance < limit[:, None]).sum(dim=1) for limit in limits.unbind(dim=1)]
            return (state[0] + torch.stack(counts, dim=1),)
        count = torch.searchsorted(tile.distance.sort(dim=1).values, limits)
        return (state[0] + count.masked_fill(limits.isnan(), 0),)

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The counts."""
        return state
