"""Positives of small classes in plain torch: a list of references for each anchor instead of tiles."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule, Tile
from .layout import limits
from .problem import Problem

FEW = 8  # references of a label up to which lists cost less than windows of neighbours
_ELEMENTS = 1 << 19  # of the rows on the lists of a block of anchors, 2 MiB of float32


def run_few(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` on the positives of problems with few of them; in float64 for float64 inputs, else in float32."""
    size = max(1, _ELEMENTS // max(1, problem.most_positives * problem.anchors.shape[1]))
    thresholds = limits(rule, problem, problem.dtype)
    parts = [_run(rule, problem, thresholds, slice(i, i + size)) for i in range(0, len(thresholds), size)]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _run(rule: Rule, problem: Problem, thresholds: Tensor, rows: slice) -> tuple[Tensor, ...]:
    start, count = (part[rows, None] for part in problem.positive_spans)
    number = torch.arange(max(1, problem.most_positives), device=start.device)
    order = problem.reference_order.index
    place = (start + number).clamp_max_(len(order) - 1)
    index = order.index_select(0, place.flatten()).view_as(place)
    anchor = torch.arange(rows.start, rows.start + len(index), device=start.device)
    outside = number >= count
    if problem.square:
        outside |= index == anchor[:, None]
    distance = _distance(rule, problem, rows, index).masked_fill_(outside, rule.absent)
    tile = Tile(distance, 0, anchor, index, thresholds[rows])
    outputs = rule.finish(rule.update(rule.init(len(index), problem.dtype, start.device), tile))
    return tuple(
        _named(index, part) if kind == "index" else part for kind, part in zip(rule.outputs, outputs, strict=True)
    )


def _distance(rule: Rule, problem: Problem, rows: slice, index: Tensor) -> Tensor:
    """Distances `[B, K]` in the unit of the rule between anchors and their references `index`."""
    x, y, _, _ = problem.factors(problem.dtype)
    x, y = x[rows, None], y.index_select(0, index.flatten()).view(*index.shape, y.shape[1])
    if problem.distance == "cosine":
        distance = y.mul_(x).sum(dim=2)
    else:
        distance = y.sub_(x / problem.factor).square_().sum(dim=2)
    return problem.from_order_(distance) if rule.needs_distance else distance


def _named(index: Tensor, place: Tensor) -> Tensor:
    """References at the places `[B]` or `[B, width]` of each anchor's list `[B, K]`; -1 stays."""
    found = index.gather(1, place.view(len(index), -1).clamp_min(0)).view_as(place)
    return torch.where(place < 0, place, found)
