"""The gradient of a pair loss: a second pass over the tiles, in which the rule says what each distance is worth."""

from __future__ import annotations

import torch
from torch import Tensor

from ..precision import ieee_float32
from ..rules.pair_loss import PairLoss
from .blocked_gradient import blocked_gradient
from .problem import Problem
from .reference import differentiate_reference


@torch.no_grad()
def run_gradient(
    rule: PairLoss,
    problem: Problem,
    outputs: tuple[Tensor, ...],
    upstream: Tensor,
    backend: str,
    precision: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Derivatives of a loss by anchors `[N, D]`, references `[M, D]` and thresholds `[N, T]`.

    In the square form the references are the anchors: their derivative is in that of the anchors, and `[0, D]`.

    Args:
        rule: the rule.
        problem: what it ran on.
        outputs: what it returned.
        upstream: derivative of the loss by the first output, like it.
        backend: "reference", "blocked" or "triton".
        precision: how Triton multiplies, see `mlbench_kernels.precision`.
    """
    if backend == "reference":
        return differentiate_reference(rule, problem, upstream)
    with ieee_float32(), torch.autocast(upstream.device.type, enabled=False):
        if backend == "blocked":
            x, y = blocked_gradient(rule, problem, outputs, upstream)
        else:
            from .triton_gradient import triton_gradient  # only here: nothing imports Triton before it is asked for

            x, y = triton_gradient(rule, problem, outputs, upstream, precision)
    thresholds = x.new_zeros(0)
    if rule.thresholds is not None:
        thresholds = rule.threshold_weight(outputs, upstream)
    return *through_the_norms(problem, x, y), thresholds


def through_the_norms(problem: Problem, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives by anchors and references, where an engine found for cosine those by the normalised rows."""
    if problem.distance != "cosine":
        return x, y
    return past_the_norm(x, problem.anchors), y if problem.square else past_the_norm(y, problem.references)


def past_the_norm(gradient: Tensor, rows: Tensor) -> Tensor:
    """The derivative by `rows`, given that by `rows / |rows|`; 0 where a row is 0."""
    rows = rows.to(gradient.dtype)
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    direction = torch.nn.functional.normalize(rows)
    along = (gradient * direction).sum(dim=1, keepdim=True)
    return torch.where(norm > 0, (gradient - along * direction) / norm, 0)
