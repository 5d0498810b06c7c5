"""The nearest or the farthest of a pool: hard and easy positives and negatives, torch form.

Hard positives are the farthest ones and hard negatives the nearest (Hermans, Beyer and Leibe, "In Defense of the
Triplet Loss for Person Re-Identification", 2017); easy ones are the other way round (Xuan et al., "Improved Embeddings
with Easy Positive Triplet Mining", 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .rule import BaseRule, Pool, State, Tile
from .select import Runs, first_better


class Extreme(BaseRule):
    """State `(distance, position)`; ties: lowest index.

    Args:
        pool: "positives", "negatives" or "others".
        farthest: the farthest instead of the nearest.
    """

    triton = "mlbench_kernels.rules.extreme_triton"

    def __init__(self, pool: Pool, farthest: bool = False) -> None:
        self.pool = pool
        self.farthest = farthest
        self.absent = -torch.inf if farthest else torch.inf
        self.constants = (farthest,)

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        best = torch.full((rows,), self.absent, dtype=dtype, device=device)
        return best, torch.full((rows,), -1, dtype=torch.int64, device=device)

    def update(self, state: State, tile: Tile) -> State:
        """The state after one more tile."""
        return self.improve(state, Runs(tile.distance, self.farthest), tile.first)

    def improve(self, state: State, runs: Runs, first: int) -> State:
        """A strict comparison, so that the lower index stays where distances are equal; `runs` are those of a tile."""
        best, rows, place = first_better(runs, state[0])
        better = torch.maximum if self.farthest else torch.minimum
        return better(best, state[0]), state[1].index_copy(0, rows, place.add_(first))

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The position, -1 in an empty pool."""
        return (state[1],)
