"""The dense form, through autograd: the oracle of the others."""

from __future__ import annotations

import torch
from torch import Tensor


def forward(x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor) -> Tensor:
    """The operator's `[N]`, in float64."""
    same = x_labels[:, None] == y_labels
    return (x.double() @ y.double().T).masked_fill(same, -torch.inf).logsumexp(dim=1).to(x.dtype)


def backward(
    x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor, result: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients `[N, D]` and `[M, D]`; a row without a pair has none."""
    some = result > -torch.inf
    with torch.enable_grad():
        left, right = x.double().requires_grad_(), y.double().requires_grad_()
        same = x_labels[some, None] == y_labels
        values = (left[some] @ right.T).masked_fill(same, -torch.inf).logsumexp(dim=1)
        x_gradient, y_gradient = torch.autograd.grad(values, (left, right), gradient[some].double())
    return x_gradient.to(x.dtype), y_gradient.to(y.dtype)
