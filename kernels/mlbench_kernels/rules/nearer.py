"""How many of a pool are nearer than each threshold, torch form: ranks are such counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .rule import BaseRule, Output, Pool, State, Tile


class Nearer(BaseRule):
    """State `(count [rows, T],)`.

    Args:
        pool: "positives", "negatives" or "others".
        thresholds: `[N, T]`, distances; NaN counts nothing. Equality never counts.
    """

    triton = "mlbench_kernels.rules.nearer_triton"
    outputs: Sequence[Output] = ("count",)

    def __init__(self, pool: Pool, thresholds: Tensor) -> None:
        self.pool = pool
        self.thresholds = thresholds
        self.width = thresholds.shape[1]
        self.constants = (self.width,)

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        return (torch.zeros((rows, self.width), dtype=torch.int64, device=device),)

    def update(self, state: State, tile: Tile) -> State:
        """One look at the tile per threshold."""
        nearer = [(tile.distance < limit[:, None]).sum(dim=1) for limit in tile.thresholds.unbind(dim=1)]
        return (state[0] + torch.stack(nearer, dim=1),)

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The counts."""
        return state
