"""Cases of losses: the value alone, or with its gradient, against float64 autograd."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .case import EXACT, Call, Judge, Provider, Setting, Verdict
from .data import Batch

Loss = Callable[[Tensor, Tensor], Tensor]
"""From embeddings `[N, D]` and labels `[N]` to a scalar."""

_TOLERANCE = {"ieee": 1e-5, "tf32x3": 1e-5, "bf16x3": 1e-4, "tf32": 1e-2, "bf16": 1e-1}


class Evaluated(NamedTuple):
    """A loss, and its gradient `[N, D]` where that was asked for."""

    value: Tensor
    gradient: Tensor | None


def loss_provider(name: str, make: Callable[[Setting], Loss], backward: bool, **options: Any) -> Provider:
    """A loss as a participant; `make` imports and constructs it, and `options` are those of `Provider`."""

    def prepare(batch: Batch, setting: Setting) -> Call:
        loss = make(setting)
        return lambda: evaluate(loss, batch, backward)

    return Provider(name, prepare, lambda evaluated: evaluated, **{"precisions": (EXACT,), **options})


def evaluate(loss: Loss, batch: Batch, backward: bool) -> Evaluated:
    """Forward, or forward and backward."""
    x = batch.embeddings.detach().requires_grad_(backward)
    value = loss(x, batch.labels)
    gradient = torch.autograd.grad(value, x)[0] if backward else None
    return Evaluated(value.detach(), gradient)


def judge_loss(
    exact: Loss, backward: bool, edges: Callable[[Tensor, Tensor, float], float] | None = None
) -> Callable[[Batch], Judge]:
    """Value and gradient against those of `exact`, a plain loss, in float64; errors are relative.

    Args:
        exact: the loss.
        backward: whether the gradient is asked for.
        edges: for a loss whose gradient jumps: from embeddings, labels and what rounding does to a distance, how far
            the gradient moves if every term that is so near to a jump is taken for one on its other side.
    """

    def make(batch: Batch) -> Judge:
        batch = batch._replace(embeddings=batch.embeddings.double())
        wanted = evaluate(exact, batch, backward)

        @cache
        def jumps(precision: str) -> float:
            if edges is None or wanted.gradient is None:
                return 0.0
            rounding = torch.finfo(torch.float32).eps * _TOLERANCE[precision] / _TOLERANCE[EXACT]
            return edges(*batch, rounding) / float(wanted.gradient.norm())

        return lambda found, precision: judge_evaluated(wanted, jumps(precision))(found, precision)

    return make


def judge_evaluated(wanted: Evaluated, jumps: float = 0.0) -> Judge:
    """Value and gradient against those `wanted`, of float64; errors are relative, and `jumps` is allowed beside."""

    def verdict(found: Evaluated, precision: str) -> Verdict:
        bound = _TOLERANCE[precision] + jumps
        errors = [_error(part, whole) for part, whole in zip(found, wanted, strict=True) if whole is not None]
        return Verdict(sum(error > bound for error in errors), len(errors), max(errors), bound)

    return verdict


def _error(found: Tensor | None, wanted: Tensor) -> float:
    if found is None:
        return float("inf")
    return float((found.double() - wanted).norm() / wanted.norm().clamp_min(torch.finfo(torch.float64).tiny))
