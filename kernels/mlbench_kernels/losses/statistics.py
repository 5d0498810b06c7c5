"""Pair losses as torch operators: what a rule keeps of each anchor, with the derivative of its first output."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from ..checks import check_rule
from ..engine import run_rule
from ..engine.gradient import run_gradient
from ..mining.arguments import Options, check_arguments, make_problem
from ..operators import differentiable, fake, operator
from ..rules.pair_loss import PairLoss


def make_rule(name: str, pool: str, numbers: list[float], thresholds: Tensor | None) -> PairLoss:
    """The rule that the arguments of an operator describe."""
    return PairLoss.classes[name](pool, *numbers, thresholds=thresholds)  # type: ignore[arg-type]


@operator("pair_statistics")
def pair_statistics_op(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    backend: str,
    precision: str,
    thresholds: Tensor | None,
    rule: str,
    pool: str,
    numbers: list[float],
) -> list[Tensor]:
    """The outputs of a pair loss, `[N]` or `[N, T]` each."""
    problem = make_problem(anchors, labels, references, reference_labels, distance)
    return list(run_rule(make_rule(rule, pool, numbers, thresholds), problem, backend, precision))


@fake("pair_statistics")
def _(anchors, labels, references, reference_labels, distance, backend, precision, thresholds, rule, pool, numbers):  # type: ignore[no-untyped-def]
    return empty_outputs(anchors, make_rule(rule, pool, numbers, thresholds))


def empty_outputs(anchors: Tensor, made: PairLoss) -> list[Tensor]:
    """The outputs of a rule, as an operator's fake returns them."""
    shape = (len(anchors), made.width) if made.width else (len(anchors),)
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    whole = ("index", "count")
    return [anchors.new_empty(shape, dtype=torch.int64 if kind in whole else dtype) for kind in made.outputs]


@operator("pair_gradient")
def pair_gradient_op(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    backend: str,
    precision: str,
    thresholds: Tensor | None,
    rule: str,
    pool: str,
    numbers: list[float],
    outputs: list[Tensor],
    upstream: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Derivatives by anchors, references and thresholds; empty where there are none."""
    problem = make_problem(anchors, labels, references, reference_labels, distance)
    made = make_rule(rule, pool, numbers, thresholds)
    x, y, limits = run_gradient(made, problem, tuple(outputs), upstream, backend, precision)
    return x.to(anchors.dtype), y.to(problem.references.dtype), limits if thresholds is None else limits.to(thresholds)


@fake("pair_gradient")
def _(anchors, labels, references, reference_labels, distance, backend, precision, thresholds, *rest):  # type: ignore[no-untyped-def]
    return empty_gradient(anchors, references, thresholds)


def empty_gradient(anchors: Tensor, references: Tensor | None, thresholds: Tensor | None) -> tuple[Tensor, ...]:
    """Derivatives by anchors, references and thresholds, as an operator's fake returns them."""
    empty = anchors.new_empty(0, anchors.shape[1])
    limits = anchors.new_empty(0, dtype=torch.promote_types(anchors.dtype, torch.float32))
    return (
        torch.empty_like(anchors),
        empty if references is None else torch.empty_like(references),
        limits if thresholds is None else torch.empty_like(thresholds),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    anchors, labels, references, reference_labels, *options, thresholds, rule, pool, numbers = inputs
    ctx.save_for_backward(anchors, labels, references, reference_labels, thresholds, *output)
    ctx.options, ctx.rule = options, (rule, pool, numbers)


def _differentiate(ctx: Any, upstream: list[Tensor]) -> tuple[Any, ...]:
    *problem, thresholds, first = ctx.saved_tensors[:6]
    outputs = [first, *ctx.saved_tensors[6:]]
    x, y, limits = pair_gradient_op(*problem, *ctx.options, thresholds, *ctx.rule, outputs, upstream[0])
    references = None if problem[2] is None else y
    # An empty list counts as one of tensors, which wants a list of derivatives.
    numbers: list[None] | None = None if ctx.rule[-1] else []
    return x, None, references, None, None, None, None, None if thresholds is None else limits, None, None, numbers


differentiable("pair_statistics", _differentiate, _keep)


def pair_loss(
    rule: PairLoss,
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    **options: Unpack[Options],
) -> tuple[Tensor, ...]:
    """What a pair loss keeps of every anchor, with gradients, in O((N + M) D) memory.

    Args:
        rule: a pair loss, see `mlbench_kernels.rules.PairLoss`.
        anchors: `[N, D]`, any floating-point dtype; computed in float32, or in float64 if they are.
        labels: `[N]`, integers.
        references: `[M, D]`, or None: the anchors meet each other, none itself.
        reference_labels: `[M]`, integers.
        **options: as for `batch_hard`.

    Returns:
        The rule's outputs, `[N]` each. The first is differentiable by anchors, references and the rule's thresholds,
        once. Equal rows, whose Euclidean distance has no derivative, and zero rows under cosine, get none from it.
        No sum depends on the order in which threads finish: the same call gives the same bits.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> from mlbench_kernels.rules import Hinge
    >>> x = torch.tensor([[0.0], [1.0], [3.0]], requires_grad=True)
    >>> cost, open_pairs = pair_loss(Hinge("negatives", 2.5), x, torch.tensor([0, 0, 1]), distance="euclidean")
    >>> cost.sum().backward()
    >>> cost.tolist(), open_pairs.tolist(), x.grad.flatten().tolist()
    ([0.0, 0.5, 0.5], [0, 1, 1], [0.0, 2.0, -2.0])
    """
    first, *others = pair_statistics_op(
        *operator_arguments(rule, anchors, labels, references, reference_labels, **options)
    )
    return first, *(part.detach() for part in others)


def operator_arguments(
    rule: PairLoss,
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    **options: Unpack[Options],
) -> tuple[Any, ...]:
    """What `pair_statistics_op` wants, checked.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    check_rule(rule, checked.anchors)
    # `check_arguments` detaches.
    problem = checked._replace(anchors=anchors, references=references)
    return *problem, rule.thresholds, rule.key(), rule.pool, [float(number) for number in rule.numbers]
