"""The public function, and the torch operator behind it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...checks import check_choice, check_finite, check_labels, check_matrix, check_references
from ...dispatch import choose_backend
from ...operators import fake, operator
from . import blocked, reference

_BACKENDS = ("triton", "blocked", "reference")
_PRECISIONS = ("auto", "ieee", "tf32x3", "tf32")


def negative_logsumexp(
    x: Tensor,
    y: Tensor,
    x_labels: Tensor,
    y_labels: Tensor,
    *,
    backend: str = "auto",
    precision: str = "auto",
) -> Tensor:
    """`log sum_{j: y_labels[j] != x_labels[i]} exp(x_i . y_j)` for every row i, without the matrix of products.

    With class weights as `y` and `y_labels = arange(C)` it is the denominator of a softmax over classes, less the own
    class; the own logit needs one product per row, and the cross entropy is `softplus(this - own)` whatever margin the
    own logit gets. Beside inputs and outputs it needs O(N + M) memory and the tiles in flight; the backward pass
    multiplies again instead of keeping the products. Runs on the same machine give the same bits.

    Args:
        x: `[N, D]`, any floating-point dtype; scales and temperatures are part of it.
        y: `[M, D]`.
        x_labels: `[N]`, integers.
        y_labels: `[M]`, integers.
        backend: "triton" (CUDA), "blocked" (any device), "reference" (dense float64), or "auto".
        precision: of Triton's products: "ieee", "tf32x3" ("auto": float32 accuracy on the matrix units) or "tf32".

    Returns:
        `[N]`, in float64 for float64 inputs and in float32 otherwise; -inf, with zero gradient, for a row without a
        pair. Gradients reach `x` and `y`.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> x, classes = torch.zeros(2, 3), torch.zeros(5, 3)
    >>> negative_logsumexp(x, classes, torch.tensor([0, 4]), torch.arange(5)).exp()
    tensor([4., 4.])
    """
    check_choice("precision", precision, _PRECISIONS)
    check_matrix("x", x)
    check_labels("x_labels", x_labels, "x", x)
    check_references("x", x, y, y_labels, names=("y", "y_labels"))
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    chosen = choose_backend(backend, _BACKENDS, x.to(dtype))
    mode = "tf32x3" if precision == "auto" else precision
    result: Tensor = _operator(x.to(dtype), y.to(dtype), x_labels.long(), y_labels.long(), chosen, mode)
    return result


@operator("negative_logsumexp")
def _operator(x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor, backend: str, precision: str) -> Tensor:
    check_finite("x", x)
    check_finite("y", y)
    if backend == "triton":
        from . import triton  # only here: nothing imports Triton before it is asked for

        return triton.forward(x, y, x_labels, y_labels, precision)
    if backend == "blocked":
        return blocked.forward(x, y, x_labels, y_labels)
    return reference.forward(x, y, x_labels, y_labels)


@fake("negative_logsumexp")
def _(x, y, x_labels, y_labels, backend, precision):  # type: ignore[no-untyped-def]
    return x.new_empty(len(x))


@operator("negative_logsumexp_backward")
def _backward_operator(
    x: Tensor,
    y: Tensor,
    x_labels: Tensor,
    y_labels: Tensor,
    result: Tensor,
    gradient: Tensor,
    backend: str,
    precision: str,
) -> tuple[Tensor, Tensor]:
    if backend == "triton":
        from . import triton

        return triton.backward(x, y, x_labels, y_labels, result, gradient, precision)
    if backend == "blocked":
        return blocked.backward(x, y, x_labels, y_labels, result, gradient)
    return reference.backward(x, y, x_labels, y_labels, result, gradient)


@fake("negative_logsumexp_backward")
def _(x, y, x_labels, y_labels, result, gradient, backend, precision):  # type: ignore[no-untyped-def]
    return torch.empty_like(x), torch.empty_like(y)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4], output)
    ctx.how = inputs[4:]


def _derive(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x_gradient, y_gradient = _backward_operator(*ctx.saved_tensors, gradient, *ctx.how)
    return x_gradient, y_gradient, None, None, None, None


torch.library.register_autograd("mlbench_kernels::negative_logsumexp", _derive, setup_context=_keep)
