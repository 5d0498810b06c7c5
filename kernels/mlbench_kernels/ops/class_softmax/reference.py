"""The dense form, through autograd: the oracle of the others."""

from __future__ import annotations

import torch
from torch import Tensor


def forward(samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, by_class: bool) -> tuple[Tensor, Tensor]:
    """Own logits and log-sum-exp of the others, in float64."""
    own, others = _dense(samples.double(), classes.double(), labels, shift.double(), by_class)
    return own.to(samples.dtype), others.logsumexp(dim=1).to(samples.dtype)


def backward(
    samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, others: Tensor, own_gradient: Tensor,
    others_gradient: Tensor, by_class: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients `[N, D]` and `[C, D]`."""
    some = others > -torch.inf
    with torch.enable_grad():
        inputs = samples.double().requires_grad_(), classes.double().requires_grad_()
        own, logits = _dense(*inputs, labels, shift.double(), by_class)
        value = (own * own_gradient).sum() + (logits[some].logsumexp(dim=1) * others_gradient[some]).sum()
        left, right = torch.autograd.grad(value, inputs)
    return left.to(samples.dtype), right.to(classes.dtype)


def _dense(samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, by_class: bool) -> tuple[Tensor, Tensor]:
    """Own logits `[N]`, and all logits `[N, C]` (`[C, N]` by class), -inf where sample and class belong together."""
    logits = samples @ torch.nn.functional.normalize(classes).T + shift[:, None]
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own, others.T if by_class else others
