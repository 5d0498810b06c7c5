"""The sum of a pair loss over all anchors, with its gradient: in one pass where the backend can."""

from __future__ import annotations

import torch
from torch import Tensor

from ..precision import ieee_float32
from ..rules.pair_loss import PairLoss
from ..usage import note_backend
from .blocked_gradient import blocked_total
from .gradient import run_gradient, through_the_norms
from .problem import Problem
from .run import run_rule

Gradient = tuple[Tensor, Tensor, Tensor]


@torch.no_grad()
def run_total(
    rule: PairLoss, problem: Problem, backend: str, precision: str
) -> tuple[tuple[Tensor, ...], Gradient]:
    """The outputs of `rule`, and the derivatives of the sum of the first as `run_gradient` returns them.

    Args:
        rule: a rule whose `weight` does not depend on its outputs.
        problem: anchors and references.
        backend: "reference", "blocked" or "triton".
        precision: how Triton multiplies, see `mlbench_kernels.precision`.
    """
    if backend != "blocked":
        outputs = run_rule(rule, problem, backend, precision)
        return outputs, run_gradient(rule, problem, outputs, torch.ones_like(outputs[0]), backend, precision)
    note_backend(type(rule).__name__, backend)
    with ieee_float32(), torch.autocast(problem.anchors.device.type, enabled=False):
        outputs, x, y = blocked_total(rule, problem)
    thresholds = x.new_zeros(0)
    if rule.thresholds is not None:
        thresholds = rule.threshold_weight(outputs, torch.ones_like(outputs[0]))
    return outputs, (*through_the_norms(problem, x, y), thresholds)
