"""The nearest candidate beyond each threshold: semi-hard mining, torch form.

FaceNet (Schroff, Kalenichenko and Philbin, 2015) takes, for each anchor-positive pair, the nearest negative that is
farther than the positive. Turned round, a semi-hard positive is the farthest one that is nearer than the anchor's
nearest negative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .rule import BaseRule, Pool, State, Tile
from .select import first_best

_FEW = 16  # thresholds up to which one look per threshold costs less than sorting the tile


class Beyond(BaseRule):
    """State `(distance [rows, T], position [rows, T])`, the distance negated for `farthest`; ties: lowest index.

    Args:
        pool: "positives", "negatives" or "others".
        thresholds: `[N, T]`, distances; NaN finds nothing.
        farthest: the farthest below each threshold instead of the nearest above. Equality never counts.
    """

    triton = "mlbench_kernels.rules.beyond_triton"

    def __init__(self, pool: Pool, thresholds: Tensor, farthest: bool = False) -> None:
        self.pool = pool
        self.thresholds = thresholds
        self.farthest = farthest
        self.width = thresholds.shape[1]
        self.absent = -torch.inf if farthest else torch.inf
        self.constants = (farthest, self.width)

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing seen."""
        best = torch.full((rows, self.width), torch.inf, dtype=dtype, device=device)
        return best, torch.full((rows, self.width), -1, dtype=torch.int64, device=device)

    def update(self, state: State, tile: Tile) -> State:
        """A strict comparison, so that the lower index stays where distances are equal."""
        distance, limits = tile.distance, tile.thresholds
        if self.farthest:
            distance, limits = -distance, -limits
        # Against an infinite limit all differences are equal.
        few = self.width <= _FEW and not bool((limits == -torch.inf).any())
        pick = _one_by_one if few else _by_sorting
        best, position = pick(distance, limits)
        better = best < state[0]
        return torch.where(better, best, state[0]), torch.where(better, position + tile.first, state[1])

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The position, -1 where nothing is beyond the threshold."""
        return (state[1],)


def _one_by_one(distance: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest `distance` `[B, C]` above each of `limits` `[B, T]`, and its first position.

    What is above its limit has a negative difference `limit - distance`, and of negative floats read as integers the
    one nearest to zero is the smallest: one subtraction and one integer minimum do the work of a comparison, a
    selection and a minimum, at a third of the time.
    """
    whole = torch.int32 if distance.dtype == torch.float32 else torch.int64
    short = torch.empty_like(distance)
    best, position = [], []
    for limit in limits.unbind(dim=1):
        torch.sub(limit[:, None], distance, out=short)
        least, place = first_best(short.view(whole))
        found = distance.gather(1, place[:, None])[:, 0]
        best.append(torch.where((least < 0) & (found > limit), found, torch.inf))
        position.append(place)
    return torch.stack(best, dim=1), torch.stack(position, dim=1)


def _by_sorting(distance: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
    """The same for many limits: O(C log C + T log C) per row instead of O(C T)."""
    ordered, position = distance.contiguous().sort(dim=1, stable=True)
    place = torch.searchsorted(ordered, limits.contiguous(), right=True)
    ordered = torch.nn.functional.pad(ordered, (0, 1), value=torch.inf)
    return ordered.gather(1, place), position.gather(1, place.clamp_max(position.shape[1] - 1))
