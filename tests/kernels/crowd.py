"""A user's own rule, as docs/kernels.md shows it: how many negatives are nearer than a radius, and which is nearest."""

import torch
from mlbench_kernels.rules import BaseRule


class Crowd(BaseRule):
    pool = "negatives"
    outputs = ("count", "index")
    triton = "crowd_triton"

    def __init__(self, radius):  # [N]
        self.thresholds = radius[:, None]

    def init(self, rows, dtype, device):
        nearest = torch.full((rows,), torch.inf, dtype=dtype, device=device)
        count = torch.zeros(rows, dtype=torch.int64, device=device)
        return count, nearest, count - 1

    def update(self, state, tile):
        count, nearest, index = state
        count = count + (tile.distance < tile.thresholds).sum(dim=1)
        value, place = tile.distance.min(dim=1)
        return count, value.minimum(nearest), torch.where(value < nearest, place + tile.first, index)

    def finish(self, state):
        return state[0], state[2]
