"""Batch-hard: the farthest positive and the nearest negative of every anchor, torch form.

From Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .rule import State, Tile


class BatchHardRule:
    """State `(positive distance, positive index, negative distance, negative index)`; ties: lowest index."""

    name = "batch_hard"
    outputs = 2

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen: the farthest positive at -inf, the nearest negative at inf."""
        distance = torch.full((rows,), torch.inf, dtype=dtype, device=device)
        index = torch.full((rows,), -1, dtype=torch.int64, device=device)
        return -distance, index, distance, index

    def update(self, state: State, tile: Tile) -> State:
        """Take in one tile; `max` and `min` return the first of equal values."""
        far, p = tile.distance.masked_fill(~tile.positive, -torch.inf).max(dim=1)
        near, n = tile.distance.masked_fill(~tile.negative, torch.inf).min(dim=1)
        return self.merge(state, (far, p + tile.first, near, n + tile.first))

    def merge(self, earlier: State, later: State) -> State:
        """Strict comparisons, so that the lower index stays where distances are equal."""
        farther, nearer = later[0] > earlier[0], later[2] < earlier[2]
        keep = (farther, farther, nearer, nearer)
        return tuple(torch.where(k, b, a) for k, a, b in zip(keep, earlier, later, strict=True))

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """Indices of the positive and of the negative, `[rows]` each."""
        return state[1], state[3]
