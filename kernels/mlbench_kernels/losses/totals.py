"""Sums of pair losses over all anchors, as a torch operator that finds the gradient along with the value.

That of the blocked backend: where a tile of distances costs more than what a rule makes of it, as on a GPU, streaming
twice costs little, and values that nobody differentiates cost half.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from ..engine.total import run_total
from ..mining.arguments import Options, make_problem
from ..operators import differentiable, fake, operator
from ..rules.pair_loss import PairLoss
from .statistics import empty_gradient, empty_outputs, make_rule, operator_arguments, pair_statistics_op


@operator("pair_total")
def pair_total_op(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    thresholds: Tensor | None,
    rule: str,
    pool: str,
    numbers: list[float],
) -> list[Tensor]:
    """The sum of the first output, its derivatives by anchors, references and thresholds, and the other outputs.

    A derivative is empty where there is nothing to differentiate by.
    """
    problem = make_problem(anchors, labels, references, reference_labels, distance)
    made = make_rule(rule, pool, numbers, thresholds)
    (first, *others), (x, y, limits) = run_total(made, problem)
    limits = limits if thresholds is None else limits.to(thresholds)
    return [first.sum(), x.to(anchors.dtype), y.to(problem.references.dtype), limits, *others]


@fake("pair_total")
def _(anchors, labels, references, reference_labels, distance, thresholds, rule, pool, numbers):  # type: ignore[no-untyped-def]
    first, *others = empty_outputs(anchors, make_rule(rule, pool, numbers, thresholds))
    return [first.new_empty(()), *empty_gradient(anchors, references, thresholds), *others]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.save_for_backward(*output[1:4])
    ctx.given = [inputs[place] is not None for place in (0, 2, 5)]
    ctx.numbers = inputs[-1]


def _differentiate(ctx: Any, upstream: list[Tensor]) -> tuple[Any, ...]:
    pairs = zip(ctx.saved_tensors, ctx.given, strict=True)
    x, y, limits = (part * upstream[0].to(part.dtype) if given else None for part, given in pairs)
    # An empty list counts as one of tensors, which wants a list of derivatives.
    return x, None, y, None, None, limits, None, None, None if ctx.numbers else []


differentiable("pair_total", _differentiate, _keep)


def pair_total(
    rule: PairLoss,
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    **options: Unpack[Options],
) -> tuple[Tensor, ...]:
    """The outputs of `pair_loss`, the first summed over all anchors, `[]`.

    Args:
        rule: one whose `weight` does not depend on its outputs.
        anchors: as for `pair_loss`, as are the others.
        labels: see there.
        references: see there.
        reference_labels: see there.
        **options: see there.
    """
    *problem, backend, precision, limits, name, pool, numbers = operator_arguments(
        rule, anchors, labels, references, reference_labels, **options
    )
    leaves = (anchors, references, limits)
    if backend == "blocked" and torch.is_grad_enabled() and any(_differentiable(leaf) for leaf in leaves):
        total, _, _, _, *others = pair_total_op(*problem, limits, name, pool, numbers)
    else:
        first, *others = pair_statistics_op(*problem, backend, precision, limits, name, pool, numbers)
        total = first.sum()
    return total, *(part.detach() for part in others)


def _differentiable(leaf: Tensor | None) -> bool:
    return leaf is not None and leaf.requires_grad
