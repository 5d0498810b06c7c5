"""The dense engine: the whole float64 distance matrix as a single tile. The oracle of the others."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule, Tile
from .problem import Problem


def run_reference(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` on all pairs at once, in the caller's distance; for tests and small problems, O(N M) memory."""
    x, y = problem.anchors.double(), problem.references.double()
    if problem.distance == "cosine":
        x, y = torch.nn.functional.normalize(x), torch.nn.functional.normalize(y)
        distance = torch.stack([1 - (y * row).sum(dim=1) for row in x])
    else:
        distance = torch.stack([(y - row).square().sum(dim=1) for row in x])
    if problem.distance == "euclidean":
        distance = distance.sqrt()
    rows, columns = (torch.arange(size, device=x.device) for size in distance.shape)
    thresholds = distance[:, :0] if rule.thresholds is None else rule.thresholds.double()
    tile = Tile(distance.masked_fill(~_pool(rule, problem), rule.absent), 0, rows, columns[None], thresholds)
    return rule.finish(rule.update(rule.init(len(x), torch.float64, x.device), tile))


def _pool(rule: Rule, problem: Problem) -> Tensor:
    same = problem.labels[:, None] == problem.reference_labels[None, :]
    if rule.pool == "negatives":
        return ~same
    pool = same if rule.pool == "positives" else torch.ones_like(same)
    return pool.fill_diagonal_(False) if problem.square else pool
