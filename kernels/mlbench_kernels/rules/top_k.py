"""The k nearest or farthest of a pool, torch form."""

from __future__ import annotations

import torch
from torch import Tensor

from .rule import BaseRule, Pool, State, Tile
from .select import Runs


class TopK(BaseRule):
    """State `(distance [rows, k], position [rows, k])`, nearest first; negated for `farthest`; ties: lowest index.

    Args:
        pool: "positives", "negatives" or "others".
        k: how many to keep.
        farthest: the farthest instead of the nearest.
    """

    triton = "mlbench_kernels.rules.top_k_triton"

    def __init__(self, pool: Pool, k: int, farthest: bool = False) -> None:
        self.pool = pool
        self.farthest = farthest
        self.width = k
        self.absent = -torch.inf if farthest else torch.inf
        self.constants = (farthest, k)

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        best = torch.full((rows, self.width), torch.inf, dtype=dtype, device=device)
        return best, torch.full((rows, self.width), -1, dtype=torch.int64, device=device)

    def update(self, state: State, tile: Tile) -> State:
        """Take in what is nearer than the k-th so far; the rest of the tile is only read."""
        distance = -tile.distance if self.farthest else tile.distance
        row, column = self._hits(distance, state[0][:, -1])
        if not len(row):
            return state
        rows = len(distance)
        owner = torch.arange(rows, device=row.device).repeat_interleave(self.width)
        owner = torch.cat((owner, row))
        value = torch.cat((state[0].flatten(), distance[row, column]))
        position = torch.cat((state[1].flatten(), column + tile.first))
        # Two stable sorts: by row, then by distance, then by position, in which the entries came.
        order = value.sort(stable=True).indices
        order = order[owner[order].sort(stable=True).indices]
        count = torch.bincount(owner, minlength=rows)
        keep = order[(count.cumsum(0) - count)[:, None] + torch.arange(self.width, device=row.device)]
        return value[keep], position[keep]

    def _hits(self, distance: Tensor, worst: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of a few pairs that include all that belong to the nearest k, in ascending order."""
        runs = Runs(distance)
        gate = worst
        # The k-th smallest of any k or more candidates is no smaller than the k-th of all.
        if runs.best.shape[1] >= self.width:
            gate = torch.minimum(gate, runs.best.kthvalue(self.width, dim=1).values)
        elif distance.shape[1] >= self.width and bool((worst == torch.inf).any()):
            gate = torch.minimum(gate, distance.kthvalue(self.width, dim=1).values)
        return runs.up_to(gate.clamp_max(torch.finfo(gate.dtype).max))

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The positions, nearest (farthest) first; -1 where the pool has fewer than k."""
        return (state[1],)
