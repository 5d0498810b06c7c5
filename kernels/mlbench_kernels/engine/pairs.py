"""Lists of pairs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..precision import ieee_float32
from ..rules.extreme import Extreme
from ..rules.select import at_most
from .blocked import Stream
from .problem import Problem

_ELEMENTS = 1 << 20  # of a tile


def positive_pairs(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """All pairs of one label but an anchor with itself, `[P]` each: anchor, reference, number within the anchor."""
    order = problem.reference_order
    start, count = problem.positive_spans
    anchor = torch.arange(len(count), device=count.device).repeat_interleave(count)
    number = torch.arange(len(anchor), device=count.device) - (count.cumsum(0) - count)[anchor]
    reference = order.index[start[anchor] + number]
    if problem.square:
        other = reference != anchor
        # Behind itself, an anchor's numbers move down by one: its positives ascend.
        number = number - (reference > anchor).long()
        anchor, reference, number = anchor[other], reference[other], number[other]
    return anchor, reference, number


@torch.no_grad()
def negative_pairs_below(problem: Problem, limit: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs `(anchor, reference)` of two labels that are nearer than `limit` `[N]`, `[P]` each, by anchor."""
    with ieee_float32():
        parts = list(_below(problem, limit))
    anchor, reference = (torch.cat(part) for part in zip(*parts, strict=True))
    order = torch.argsort(anchor * len(problem.references) + reference)
    return anchor[order], reference[order]


def _below(problem: Problem, limit: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    stream = Stream(Extreme("negatives"), problem)  # whose tiles hold infinity in the place of positives
    order = problem.to_order(limit.double()).to(problem.dtype)
    gate = torch.nextafter(order, torch.full_like(order, -torch.inf))  # below the limit is up to the number before it
    for distance, rows, columns, after in stream.tiles():
        anchor, reference = at_most(distance, gate[rows])
        yield anchor + rows.start, reference + columns.start
        if after.start < after.stop:
            anchor, reference = at_most(distance[:, after.start - columns.start :].T, gate[after])
            yield anchor + after.start, reference + rows.start


@torch.no_grad()
def triplets_between(problem: Problem, low: float, high: float) -> tuple[Tensor, Tensor, Tensor]:
    """All triplets with `low < d(anchor, negative) - d(anchor, positive) <= high`, `[T]` each, in ascending order."""
    anchor, positive, _ = positive_pairs(problem)
    order = torch.argsort(anchor * len(problem.references) + positive)
    anchor, positive = anchor[order], positive[order]
    x, y, a, b = problem.factors(problem.dtype)
    size = max(1, _ELEMENTS // len(y))
    near = problem.pair_distances(anchor, positive)
    parts = [(anchor[:0], anchor[:0], anchor[:0])]
    for i in range(0, len(anchor), size):
        rows = anchor[i : i + size]
        with ieee_float32():
            distance = problem.from_order((a[rows, None] + b).addmm_(x[rows], y.T))
        margin = distance - near[i : i + size, None]
        hit = (margin > low) & (margin <= high) & (problem.labels[rows, None] != problem.reference_labels)
        pair, negative = hit.nonzero().unbind(dim=1)
        parts.append((rows[pair], positive[i : i + size][pair], negative))
    first, second, third = (torch.cat(part) for part in zip(*parts, strict=True))
    return first, second, third
