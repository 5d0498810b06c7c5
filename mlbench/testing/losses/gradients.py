"""What the gradient of a loss must be."""

import torch
from torch import Tensor, nn

from mlbench.testing import batch as batches
from mlbench.testing.batch import Batch, balanced, duplicates, one_class, singletons
from mlbench.testing.requirement import NotApplicable, Violation, require, requirement
from mlbench.testing.subject import Subject

_GUARD = "Guard what has no gradient there: clamp before sqrt, log and division, and mask before, not after, them."


@requirement("Do not detach the embeddings or leave torch; use no argmax, comparison or rounding alone as the value.")
def embedding_gradient(subject: Subject) -> None:
    """The gradient reaches the embeddings, of both views where there are two."""
    backward(subject, subject.build(), balanced(), must_move=True)


@requirement("Use every parameter in forward, or register it as a buffer, or set requires_grad=False.")
def parameter_gradient(subject: Subject) -> None:
    """The gradient reaches every parameter."""
    loss = subject.build()
    if not any(parameter.requires_grad for parameter in loss.parameters()):
        raise NotApplicable("it has no parameters")
    backward(subject, loss, balanced())
    for name, parameter in loss.named_parameters():
        require(parameter.grad is not None, f"no gradient reaches {name}")
        require(parameter.grad.any(), f"the gradient of {name} is zero")


@requirement("Correct a hand-written backward, and detach() nothing that the value depends on, or declare why.")
def numerical_gradient(subject: Subject) -> None:
    """In float64 the gradient, of embeddings and parameters together, agrees with differences of the value."""
    batch = balanced().to(torch.float64)
    points = [batch.embeddings, *([batch.second] if subject.two_views else [])]
    parameters = [parameter for parameter in subject.build().parameters() if parameter.requires_grad]
    generator = torch.Generator().manual_seed(3)
    for _ in range(2):
        step = [torch.randn(point.shape, generator=generator, dtype=torch.float64) for point in (*points, *parameters)]
        tensors, value = _shifted(subject, batch, step, 0.0)
        require(value.dtype == torch.float64, f"a float64 batch gives a {value.dtype} value")
        gradients = torch.autograd.grad(value, tensors, allow_unused=True)
        slope = sum(float((g * s).sum()) for g, s in zip(gradients, step, strict=True) if g is not None)
        size = 1e-6
        above, below = (float(_shifted(subject, batch, step, side)[1].detach()) for side in (size, -size))
        measured = (above - below) / (2 * size)
        require(
            abs(slope - measured) <= 1e-5 * (abs(slope) + abs(measured)) + 1e-7,
            f"in a random direction the gradient says {slope:.9g}, differences of the value say {measured:.9g}",
        )


@requirement(_GUARD)
def no_negatives(subject: Subject) -> None:
    """A batch of one class gives a finite value and finite gradients."""
    backward(subject, subject.build(), one_class())


@requirement(_GUARD)
def no_positives(subject: Subject) -> None:
    """A batch of classes with one sample each gives a finite value and finite gradients."""
    backward(subject, subject.build(), singletons())


@requirement(_GUARD)
def equal_embeddings(subject: Subject) -> None:
    """Equal embeddings within every class give a finite value and finite gradients."""
    backward(subject, subject.build(), duplicates())


@requirement(_GUARD)
def zero_vectors(subject: Subject) -> None:
    """Embeddings of norm 0 give a finite value and finite gradients."""
    backward(subject, subject.build(), batches.zero_vectors())


@requirement(_GUARD)
def collapsed_embeddings(subject: Subject) -> None:
    """A batch in which all embeddings are equal gives a finite value and finite gradients."""
    backward(subject, subject.build(), batches.collapsed())


def backward(subject: Subject, loss: nn.Module, batch: Batch, must_move: bool = False) -> None:
    """Value and gradients are finite; with ``must_move`` the gradients are not all zero."""
    views = [batch.embeddings.clone().requires_grad_(), batch.second.clone().requires_grad_()]
    value = subject.loss(loss, Batch(views[0], batch.labels, views[1]))
    require(value.requires_grad, "the value has no gradient, so backward() fails")
    value.backward()
    for view in views if subject.two_views else views[:1]:
        gradient = view.grad
        if gradient is None:
            raise Violation("no gradient reaches the embeddings")
        require(gradient.isfinite().all(), "the gradient is not finite")
        require(not must_move or gradient.any(), "the gradient is zero")
    for name, parameter in loss.named_parameters():
        require(parameter.grad is None or parameter.grad.isfinite().all(), f"the gradient of {name} is not finite")


def _shifted(subject: Subject, batch: Batch, step: list[Tensor], size: float) -> tuple[list[Tensor], Tensor]:
    """Embeddings and parameters moved by ``size * step``, and the value there; of a new object, for state."""
    loss = subject.build().double()
    views = [batch.embeddings, batch.second][: 2 if subject.two_views else 1]
    moved = [(view + size * by).requires_grad_() for view, by in zip(views, step, strict=False)]
    parameters = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter, by in zip(parameters, step[len(views) :], strict=True):
            parameter.add_(size * by)
    value = subject.loss(loss, Batch(moved[0], batch.labels, moved[-1]))
    return [*moved, *parameters], value
