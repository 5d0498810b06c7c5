"""The sum of a pair loss over all anchors, with its gradient, in one pass of the blocked engine."""

from __future__ import annotations

import torch
from torch import Tensor

from ..precision import ieee_float32
from ..rules.pair_loss import PairLoss
from ..usage import note_backend
from .blocked_gradient import blocked_total
from .gradient import through_the_norms
from .problem import Problem


@torch.no_grad()
def run_total(rule: PairLoss, problem: Problem) -> tuple[tuple[Tensor, ...], tuple[Tensor, Tensor, Tensor]]:
    """The outputs of `rule`, and the derivatives of the sum of the first as `run_gradient` returns them.

    Args:
        rule: a rule whose `weight` does not depend on its outputs.
        problem: anchors and references.
    """
    note_backend(type(rule).__name__, "blocked")
    with ieee_float32(), torch.autocast(problem.anchors.device.type, enabled=False):
        outputs, x, y = blocked_total(rule, problem)
    thresholds = x.new_zeros(0)
    if rule.thresholds is not None:
        thresholds = rule.threshold_weight(outputs, torch.ones_like(outputs[0]))
    return outputs, (*through_the_norms(problem, x, y), thresholds)
