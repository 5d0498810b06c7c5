"""Distances of listed pairs, with gradients, in O(N D + P) memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..engine.gradient import past_the_norm
from ..engine.pairs import positive_pairs
from ..engine.problem import Problem
from ..labels import LabelOrder
from ..mining.arguments import make_problem
from ..operators import differentiable, fake, operator
from ..precision import deterministic

_ELEMENTS = 1 << 18  # of a block of differences, a MiB of float32


@operator("positive_pairs")
def positive_pairs_op(labels: Tensor, reference_labels: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Anchor, reference and number within the anchor of every pair of one label, `[P]` each."""
    rows = labels.new_zeros(len(labels), 0, dtype=torch.float32)
    if reference_labels is None:
        return positive_pairs(Problem(rows, labels, rows, labels, True, "cosine"))
    return positive_pairs(Problem(rows, labels, rows, reference_labels, False, "cosine"))


@fake("positive_pairs")
def _(labels, reference_labels):  # type: ignore[no-untyped-def]
    pairs = torch.library.get_ctx().new_dynamic_size()
    return tuple(labels.new_empty(pairs) for _ in range(3))


@operator("positive_slots")
def positive_slots_op(labels: Tensor, reference_labels: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Every pair of one label once, `[P]` anchors and references, and the pairs of each anchor.

    The latter is `[N, K]` for the most positives that one has, with P where there are fewer. In the square form a pair
    belongs to both of its rows.
    """
    if reference_labels is None:
        return _slots_of_square(LabelOrder.of(labels), labels)
    anchor, reference, number = positive_pairs_op(labels, reference_labels)
    slots = labels.new_full((len(labels), int(number.max()) + 1 if len(number) else 1), len(anchor))
    slots[anchor, number] = torch.arange(len(anchor), device=labels.device)
    return anchor, reference, slots


def _slots_of_square(order: LabelOrder, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs go by the place of their earlier row in the order, then by that of the later one."""
    position = torch.arange(len(labels), device=labels.device)
    start, count = order.spans(order.label)
    later = start + count - position - 1
    first = later.cumsum(0) - later  # pair of each place
    earlier = position.repeat_interleave(later)
    pairs = torch.arange(len(earlier), device=labels.device) - first[earlier]
    number = torch.arange(max(1, int(count.max()) - 1), device=labels.device)
    other = start[:, None] + number
    other += other >= position[:, None]
    low, high = torch.minimum(other, position[:, None]), torch.maximum(other, position[:, None])
    slots = first[low.clamp_max_(len(labels) - 1)].add_(high).sub_(low).sub_(1)
    slots.masked_fill_(number >= (count - 1)[:, None], len(earlier))
    return (
        order.index[earlier],
        order.index[earlier + 1 + pairs],
        torch.empty_like(slots).index_copy_(0, order.index, slots),
    )


@fake("positive_slots")
def _(labels, reference_labels):  # type: ignore[no-untyped-def]
    context = torch.library.get_ctx()
    pairs = context.new_dynamic_size()
    slots = labels.new_empty(len(labels), context.new_dynamic_size(min=1))
    return labels.new_empty(pairs), labels.new_empty(pairs), slots


@operator("pair_distances")
def pair_distances_op(
    anchors: Tensor, references: Tensor | None, distance: str, anchor: Tensor, reference: Tensor
) -> Tensor:
    """Distances `[P]` of the pairs `(anchor, reference)`, computed from differences in float64."""
    problem = _problem(anchors, references, distance)
    for name, index, rows in (("anchor", anchor, problem.anchors), ("reference", reference, problem.references)):
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(rows):
            raise ValueError(f"indices_tuple: {name}s from {index.min()} to {index.max()}; there are {len(rows)} rows")
    return problem.pair_distances(anchor, reference)


@fake("pair_distances")
def _(anchors, references, distance, anchor, reference):  # type: ignore[no-untyped-def]
    return anchors.new_empty(anchor.shape, dtype=torch.promote_types(anchors.dtype, torch.float32))


@operator("pair_distances_gradient")
def pair_distances_gradient_op(
    anchors: Tensor,
    references: Tensor | None,
    distance: str,
    anchor: Tensor,
    reference: Tensor,
    value: Tensor,
    upstream: Tensor,
) -> tuple[Tensor, Tensor]:
    """Derivatives by anchors and references; the latter is empty in the square form."""
    problem = _problem(anchors, references, distance)
    rows = problem.anchors.to(problem.dtype), problem.references.to(problem.dtype)
    if distance == "cosine":  # half the squared distance of normalised rows
        rows = torch.nn.functional.normalize(rows[0]), torch.nn.functional.normalize(rows[1])
    half = _by_half_square(distance, value, upstream.to(problem.dtype))
    with deterministic(half.device):
        dx, dy = _scatter(*rows, anchor, reference, half, problem.square)
    if distance == "cosine":
        dx = past_the_norm(dx, problem.anchors)
        dy = dy if problem.square else past_the_norm(dy, problem.references)
    return dx.to(anchors.dtype), dy[:0].to(anchors.dtype) if problem.square else dy.to(problem.references.dtype)


@fake("pair_distances_gradient")
def _(anchors, references, *rest):  # type: ignore[no-untyped-def]
    empty = anchors.new_empty(0, anchors.shape[1])
    return torch.empty_like(anchors), empty if references is None else torch.empty_like(references)


def _problem(anchors: Tensor, references: Tensor | None, distance: str) -> Problem:
    labels = torch.empty(0, dtype=torch.int64, device=anchors.device)
    return make_problem(anchors, labels, references, None if references is None else labels, distance)


def _by_half_square(distance: str, value: Tensor, upstream: Tensor) -> Tensor:
    """Derivatives by half the squared distances; rows that are equal have no direction, and get none."""
    if distance == "euclidean":
        return upstream / torch.where(value > 0, value, torch.inf)
    return upstream if distance == "cosine" else 2 * upstream


def _scatter(
    x: Tensor, y: Tensor, anchor: Tensor, reference: Tensor, half: Tensor, square: bool
) -> tuple[Tensor, Tensor]:
    """What the pairs add to the rows on their two sides."""
    dx = torch.zeros_like(x)
    dy = dx if square else torch.zeros_like(y)
    size = max(1, _ELEMENTS // x.shape[1])
    for i, j, weight in zip(anchor.split(size), reference.split(size), half.split(size), strict=True):
        pull = x.index_select(0, i).sub_(y.index_select(0, j)).mul_(weight[:, None])
        dx.index_add_(0, i, pull)
        dy.index_add_(0, j, pull, alpha=-1)
    return dx, dy


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    anchors, references, ctx.distance, anchor, reference = inputs
    ctx.save_for_backward(anchors, references, anchor, reference, output)


def _differentiate(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    anchors, references, anchor, reference, value = ctx.saved_tensors
    x, y = pair_distances_gradient_op(anchors, references, ctx.distance, anchor, reference, value, upstream)
    return x, None if references is None else y, None, None, None


differentiable("pair_distances", _differentiate, _keep)
