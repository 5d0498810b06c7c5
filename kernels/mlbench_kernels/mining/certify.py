"""Picks that equal those of float64, although the pass over all pairs is fast: proven, or scored again exactly.

The order of a pair is its squared Euclidean distance, or minus its cosine. A mode computes it with an error of at most

    E = e s,    s = (|x| + max |y|)^2 of the centred rows, or 1 for the cosine,

where e is `precision.relative_error`. Pairs whose fast orders compare one way are at most 2 E apart the other way, so

- if the best of the k candidates that a fast pass kept is better by more than 2 E than the worst of them, both exactly,
  then no pair that it dropped is better;
- if only one pair lies between E below a threshold and E above the pick, that pick is the nearest beyond the threshold.

Anchors without such a proof are compared with all references in float64, by the same argument with the error of
float64, and what that cannot tell apart by exact differences. Ties go to the lowest index.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor

from ..engine import Problem
from ..precision import relative_error
from ..rules import Beyond, Extreme, Nearer, TopK
from .search import Search

_KEPT = 4  # with unit rows the exact pick was always among the nearest four in bfloat16
_ELEMENTS = 1 << 20  # of a block of exact orders: 8 MiB


def extreme(search: Search, pool: str, farthest: bool, certified: bool) -> Tensor:
    """The nearest or farthest of "positives" or "negatives", `[N]`, -1 where there is none."""
    side = cast(Literal["positives", "negatives"], pool)
    if certified and search.backend != "reference":
        return _certified_extreme(search, side, farthest)
    return search.run(Extreme(side, farthest))[0]


def beyond(search: Search, limits: Tensor, certified: bool) -> Tensor:
    """The nearest negative beyond each of the distances `limits` `[N, T]`, `[N, T]`, -1 where there is none."""
    (pick,) = search.run(Beyond("negatives", limits))
    return _certified_beyond(search, limits, pick) if certified and search.backend != "reference" else pick


def _certified_extreme(search: Search, pool: Literal["positives", "negatives"], farthest: bool) -> Tensor:
    problem = search.problem
    (kept,) = search.run(TopK(pool, _KEPT, farthest))
    order = problem.to_order(problem.distances(kept, torch.float64))
    exact = (-order if farthest else order).nan_to_num(torch.inf)
    best = exact.amin(dim=1)
    index = torch.where(exact == best[:, None], kept, len(problem.references)).amin(dim=1)
    # Where fewer are kept than asked for, there are no others.
    dropped = torch.where(kept[:, -1] < 0, torch.inf, exact.amax(dim=1) - 2 * order_error(problem, search.precision))
    anchor = (best >= dropped).nonzero().flatten()
    again = _score_again(problem, anchor, best.new_full((len(anchor),), -torch.inf), pool, farthest)
    return index.index_put((anchor,), again).masked_fill(kept[:, 0] < 0, -1)


def _certified_beyond(search: Search, limits: Tensor, pick: Tensor) -> Tensor:
    problem = search.problem
    exact = problem.distances(pick, torch.float64)
    error = order_error(problem, search.precision)[:, None]
    low = problem.to_order(limits) - error
    high = torch.where(pick < 0, torch.inf, problem.to_order(exact) + error)
    (nearer,) = search.run(Nearer("negatives", _distance_at(problem, torch.cat((low, high), dim=1))))
    below, within = nearer.chunk(2, dim=1)
    proven = (within - below == (pick >= 0)) & ((pick < 0) | (exact > limits))
    anchor, number = (~proven & ~limits.isnan()).nonzero().unbind(dim=1)
    return pick.index_put((anchor, number), _score_again(problem, anchor, limits[anchor, number], "negatives", False))


def order_error(problem: Problem, precision: str, dtype: torch.dtype | None = None) -> Tensor:
    """Largest error of an anchor's orders in a mode that sums in `dtype`, by default the problem's; float64 `[N]`."""
    _, _, a, b = problem.factors(problem.dtype)
    scale = torch.ones_like(a, dtype=torch.float64)
    if problem.distance != "cosine":
        scale = (a.double().sqrt() + b.double().amax().sqrt()).square()
    return scale * relative_error(precision, problem.anchors.shape[1], dtype or problem.dtype)


def _score_again(problem: Problem, anchor: Tensor, limit: Tensor, pool: str, farthest: bool) -> Tensor:
    """The exact pick of each of `anchor` `[Q]` beyond the distance `limit` `[Q]`, `[Q]`, -1 where there is none."""
    size = max(1, _ELEMENTS // len(problem.references))
    parts = zip(anchor.split(size), limit.split(size), strict=True) if len(anchor) else ()
    return torch.cat([anchor, *(_exact_pick(problem, *part, pool, farthest) for part in parts)])[len(anchor) :]


def _exact_pick(problem: Problem, anchor: Tensor, limit: Tensor, pool: str, farthest: bool) -> Tensor:
    x, y, a, b = problem.factors(torch.float64)
    sign = -1.0 if farthest else 1.0
    order = sign * (a[anchor, None] + b).addmm_(x[anchor], y.T)
    same = problem.labels[anchor, None] == problem.reference_labels
    other = ~same if pool == "positives" else same
    if problem.square:
        other.scatter_(1, anchor[:, None], True)
    order.masked_fill_(other, torch.inf)
    error = order_error(problem, "ieee", torch.float64)[anchor, None]
    bound = problem.to_order(limit)[:, None]
    sure = order.masked_fill(order <= bound + error, torch.inf).amin(dim=1, keepdim=True)
    row, reference = ((order > bound - error) & (order <= sure + 2 * error) & (order < torch.inf)).nonzero().unbind(1)
    exact = problem.pair_distances(anchor[row], reference, torch.float64)
    beyond = exact > limit[row]
    row, reference, exact = row[beyond], reference[beyond], sign * exact[beyond]
    best = exact.new_full((len(anchor),), torch.inf).scatter_reduce(0, row, exact, "amin")
    first = exact == best[row]
    none = len(problem.references)
    index = reference.new_full((len(anchor),), none).scatter_reduce(0, row[first], reference[first], "amin")
    return index.masked_fill(index == none, -1)


def _distance_at(problem: Problem, order: Tensor) -> Tensor:
    """The threshold that `Problem.to_order` turns into `order`, below zero too."""
    if problem.distance == "cosine":
        return order + 1
    return order.abs().sqrt().copysign(order) if problem.distance == "euclidean" else order
