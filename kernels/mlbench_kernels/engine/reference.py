"""The dense engine: the whole float64 distance matrix as a single tile. The oracle of the others."""

from __future__ import annotations

import torch
from torch import Tensor

from ..rules.rule import Rule, Tile
from .problem import Problem


def run_reference(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` on all pairs at once, in the caller's distance; for tests and small problems, O(N M) memory."""
    thresholds = None if rule.thresholds is None else rule.thresholds.double()
    return _run(rule, problem, problem.anchors.double(), problem.references.double(), thresholds)


def differentiate_reference(rule: Rule, problem: Problem, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The derivatives of `run_gradient` by autograd, which goes through what `rule` does in the forward pass."""
    given = (problem.anchors, problem.references, rule.thresholds)
    # What autograd saved still has its history, which is not to be differentiated again.
    x, y, thresholds = (None if part is None else part.detach().double().requires_grad_() for part in given)
    assert x is not None
    y = x if problem.square else y
    assert y is not None
    with torch.enable_grad():
        first, *_ = _run(rule, problem, x, y, thresholds)
    wanted = [part for part in (x, None if problem.square else y, thresholds) if part is not None]
    found = iter(torch.autograd.grad(first, wanted, upstream.double(), materialize_grads=True, allow_unused=True))
    return (
        next(found),
        problem.references[:0] if problem.square else next(found),
        x.new_zeros(0) if thresholds is None else next(found),
    )


def _run(rule: Rule, problem: Problem, x: Tensor, y: Tensor, thresholds: Tensor | None) -> tuple[Tensor, ...]:
    distance = _distances(problem.distance, x, y)
    rows, columns = (torch.arange(size, device=x.device) for size in distance.shape)
    limits = distance[:, :0] if thresholds is None else thresholds
    tile = Tile(distance.masked_fill(~_pool(rule, problem), rule.absent), 0, rows, columns[None], limits)
    return rule.finish(rule.update(rule.init(len(x), torch.float64, x.device), tile))


def _distances(distance: str, x: Tensor, y: Tensor) -> Tensor:
    """All distances `[N, M]`; equal rows, and rows of zeros under cosine, have the derivative 0."""
    if distance == "cosine":
        x, y = _normalize(x), _normalize(y)
        return torch.stack([1 - (y * row).sum(dim=1) for row in x])
    square = torch.stack([(y - row).square().sum(dim=1) for row in x])
    if distance == "squared-euclidean":
        return square
    apart = square > 0
    return torch.where(apart, torch.where(apart, square, 1).sqrt(), 0)


def _normalize(x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / torch.where(norm > 0, norm, torch.inf)


def _pool(rule: Rule, problem: Problem) -> Tensor:
    same = problem.labels[:, None] == problem.reference_labels[None, :]
    if rule.pool == "negatives":
        return ~same
    pool = same if rule.pool == "positives" else torch.ones_like(same)
    return pool.fill_diagonal_(False) if problem.square else pool
