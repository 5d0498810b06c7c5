"""The public function, and the torch operator behind it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...checks import check_finite, check_labels, check_matrix
from ...dispatch import choose_backend
from ...operators import fake, operator
from ...precision import choose_precision
from . import blocked, reference

BACKENDS = ("triton", "blocked", "reference")


class ClassSoftmax(NamedTuple):
    """What every loss over classes is a function of.

    Attributes:
        own: `[N]`, logit of each sample with its own class.
        others: `[N]`, log-sum-exp of each sample's logits with all other classes; by class `[C]`, of each class's
            logits with all samples of other classes. -inf, with zero gradient, where there are none.
    """

    own: Tensor
    others: Tensor


def class_softmax(
    samples: Tensor,
    classes: Tensor,
    labels: Tensor,
    shift: Tensor | None = None,
    *,
    by_class: bool = False,
    backend: str = "auto",
    precision: str = "auto",
) -> ClassSoftmax:
    """Own logits and log-sum-exp of the others, `logit_ic = samples_i . classes_c / |classes_c| + shift_i`.

    The cross entropy of a sample is `softplus(others - own)`, whatever a margin makes of `own`. The N x C matrix of
    logits is never kept, nor are normalised classes: beside inputs, outputs and one gradient of the classes, the memory
    is that of the tiles in flight. The backward pass multiplies again. Runs on the same machine give the same bits.

    Args:
        samples: `[N, D]`, any floating-point dtype; scales, temperatures and a normalisation are part of it.
        classes: `[C, D]`; rows shorter than 1e-12 are divided by that instead of their length.
        labels: `[N]`, integers from 0 to C - 1.
        shift: `[N]`, without gradient; None is zero.
        by_class: sum over samples instead of over classes.
        backend: "triton" (CUDA), "blocked" (any device), "reference" (dense float64), or "auto".
        precision: how "triton" multiplies, see `mlbench_kernels.precision`; all modes but "bf16".

    Returns:
        Both in float64 for float64 samples and in float32 otherwise. Gradients reach `samples` and `classes`.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> found = class_softmax(torch.zeros(2, 3), torch.ones(5, 3), torch.tensor([0, 4]))
    >>> found.own.tolist(), found.others.exp().tolist()
    ([0.0, 0.0], [4.0, 4.0])
    """
    check_matrix("samples", samples)
    check_matrix("classes", classes)
    check_labels("labels", labels, "samples", samples)
    if samples.shape[1] != classes.shape[1]:
        raise ValueError(f"classes: dimension {classes.shape[1]}, but samples have dimension {samples.shape[1]}")
    if samples.device != classes.device:
        raise ValueError(f"classes: on {classes.device}, but samples are on {samples.device}; use one device")
    samples = samples.to(torch.promote_types(samples.dtype, torch.float32))
    if shift is None:
        shift = samples.new_zeros(len(samples))
    if shift.shape != labels.shape:
        raise ValueError(f"shift: expected shape {list(labels.shape)}, got {list(shift.shape)}")
    chosen = choose_backend(backend, BACKENDS, samples)
    mode = choose_precision(precision, chosen, samples)
    if mode == "bf16":
        raise ValueError("precision: 'bf16' rounds logits too coarsely; allowed are auto, ieee, tf32x3, bf16x3, tf32")
    return ClassSoftmax(*_operator(samples, classes, labels.long(), shift.to(samples), by_class, chosen, mode))


@operator("class_softmax")
def _operator(
    samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, by_class: bool, backend: str, precision: str
) -> tuple[Tensor, Tensor]:
    check_finite("samples", samples)
    check_finite("classes", classes)
    low, high = (int(end) for end in torch.aminmax(labels))
    if low < 0 or high >= len(classes):
        raise ValueError(f"labels: {low if low < 0 else high}; there are the classes 0 to {len(classes) - 1}")
    if backend == "triton":
        from . import triton  # only here: nothing imports Triton before it is asked for

        return triton.forward(samples, classes, labels, shift, by_class, precision)
    if backend == "blocked":
        return blocked.forward(samples, classes, labels, shift, by_class)
    return reference.forward(samples, classes, labels, shift, by_class)


@fake("class_softmax")
def _(samples, classes, labels, shift, by_class, backend, precision):  # type: ignore[no-untyped-def]
    return samples.new_empty(len(samples)), samples.new_empty(len(classes if by_class else samples))


@operator("class_softmax_backward")
def _backward_operator(
    samples: Tensor,
    classes: Tensor,
    labels: Tensor,
    shift: Tensor,
    others: Tensor,
    own_gradient: Tensor,
    others_gradient: Tensor,
    by_class: bool,
    backend: str,
    precision: str,
) -> tuple[Tensor, Tensor]:
    inputs, gradients = (samples, classes, labels, shift), (own_gradient, others_gradient)
    if backend == "triton":
        from . import triton

        return triton.backward(*inputs, others, *gradients, by_class, precision)
    if backend == "blocked":
        return blocked.backward(*inputs, others, *gradients, by_class)
    return reference.backward(*inputs, others, *gradients, by_class)


@fake("class_softmax_backward")
def _(samples, classes, labels, shift, others, own_gradient, others_gradient, by_class, backend, precision):  # type: ignore[no-untyped-def]
    return torch.empty_like(samples), torch.empty_like(classes)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:4], output[1])
    ctx.how = inputs[4:]


def _derive(ctx: Any, own: Tensor, others: Tensor) -> tuple[Tensor | None, ...]:
    gradients = _backward_operator(*ctx.saved_tensors, own, others, *ctx.how)
    return *gradients, None, None, None, None, None


torch.library.register_autograd("mlbench_kernels::class_softmax", _derive, setup_context=_keep)
