"""The dense engine: the whole float64 distance matrix as a single tile. The oracle of the others."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule, Tile
from .problem import Problem


def run_reference(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` on all pairs at once; for tests and small problems, O(N M) memory."""
    x, y = problem.anchors.double(), problem.references.double()
    if problem.distance == "cosine":
        x, y = torch.nn.functional.normalize(x), torch.nn.functional.normalize(y)
        distance = torch.stack([1 - (y * row).sum(dim=1) for row in x])
    else:
        distance = torch.stack([(y - row).square().sum(dim=1) for row in x])
    same = problem.labels[:, None] == problem.reference_labels[None, :]
    positive = same.clone()
    if problem.square:
        positive.fill_diagonal_(False)
    state = rule.init(len(x), torch.float64, x.device)
    return rule.finish(rule.update(state, Tile(distance, positive, ~same, first=0)))
