"""What a loss must do."""

import copy
import io
import pickle
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mlbench.testing.batch import CLASSES, Batch, balanced, duplicates, one_class, singletons
from mlbench.testing.subject import NotApplicable, Subject, finite_scalar, untouched_generators


def finite_value(subject: Subject) -> None:
    """A batch with several samples of every class gives a finite scalar."""
    subject.loss(subject.build(), balanced())


def embedding_gradient(subject: Subject) -> None:
    """The gradient reaches the embeddings, of both views where there are two."""
    batch = balanced()
    _backward(subject, subject.build(), batch, must_move=True)


def parameter_gradient(subject: Subject) -> None:
    """The gradient reaches every parameter."""
    loss = subject.build()
    if not any(parameter.requires_grad for parameter in loss.parameters()):
        raise NotApplicable("it has no parameters")
    subject.loss(loss, balanced()).backward()
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite"
        assert parameter.grad.any(), f"the gradient of {name} is zero"


def sample_order(subject: Subject) -> None:
    """The order of the samples in the batch does not matter."""
    batch = balanced()
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1))
    _same(subject.loss(subject.build(), batch), subject.loss(subject.build(), batch.reordered(order)))


def class_names(subject: Subject) -> None:
    """Only which labels are equal matters, not what they are. Not asked of a loss with parameters for each class."""
    if any(parameter.requires_grad for parameter in subject.build().parameters()):
        raise NotApplicable("its parameters belong to classes")
    batch = balanced()
    other = 1000 + torch.randperm(CLASSES, generator=torch.Generator().manual_seed(2))
    _same(subject.loss(subject.build(), batch), subject.loss(subject.build(), batch.relabelled(other[batch.labels])))


def no_negatives(subject: Subject) -> None:
    """A batch of one class gives a finite value and finite gradients."""
    _backward(subject, subject.build(), one_class())


def no_positives(subject: Subject) -> None:
    """A batch of classes with one sample each gives a finite value and finite gradients."""
    _backward(subject, subject.build(), singletons())


def equal_embeddings(subject: Subject) -> None:
    """Equal embeddings within every class give a finite value and finite gradients."""
    _backward(subject, subject.build(), duplicates())


def untouched_input(subject: Subject) -> None:
    """The tensors it is given stay as they are."""
    batch = balanced()
    before = copy.deepcopy(batch)
    subject.loss(subject.build(), batch)
    for name in ("embeddings", "labels", "second"):
        assert torch.equal(getattr(before, name), getattr(batch, name)), f"changes {name} in place"


def global_generators(subject: Subject) -> None:
    """It draws no random numbers from the global generators."""
    loss, batch = subject.build(), balanced()
    reference = {"ref_emb": batch.second, "ref_labels": batch.labels} if subject.two_views else {}
    with untouched_generators():
        loss(batch.embeddings, batch.labels, **reference)


def several_steps(subject: Subject) -> None:
    """Three batches in a row can be trained on."""
    loss = subject.build()
    for seed in range(3):
        _backward(subject, loss, balanced(seed))


def state_dict_round_trip(subject: Subject) -> None:
    """After two batches, another object with its state dict gives the same value; the state is safe to load."""
    trained, fresh = subject.build(), subject.build(seed=5)
    for seed in range(2):
        subject.loss(trained, balanced(seed))
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    _same(subject.loss(trained, balanced(9)), subject.loss(fresh, balanced(9)), exact=True)


def picklable(subject: Subject) -> None:
    """It survives pickling, before and after it was used."""
    loss = subject.build()
    for seed in range(2):
        copied = pickle.loads(pickle.dumps(loss))
        _same(subject.loss(loss, balanced(seed)), subject.loss(copied, balanced(seed)), exact=True)


def reference_form(subject: Subject) -> None:
    """With ``ref_emb`` it gives a finite scalar whose gradient reaches both sides, or refuses by a ``ValueError``."""
    if subject.two_views:
        raise NotApplicable("ref_emb is its second view, which the other checks use")
    batch, reference = balanced(), balanced(1)
    left, right = (tensor.clone().requires_grad_() for tensor in (batch.embeddings, reference.embeddings))
    loss = subject.build()
    try:
        value = loss(left, batch.labels, ref_emb=right, ref_labels=reference.labels)
    except ValueError as error:
        raise NotApplicable(f"it refuses ref_emb: {error}") from None
    finite_scalar(value).backward()
    for side, tensor in (("embeddings", left), ("ref_emb", right)):
        assert tensor.grad is not None and tensor.grad.any(), f"no gradient reaches {side}"


CHECKS: Mapping[str, Callable[[Subject], None]] = {
    "finite-value": finite_value,
    "embedding-gradient": embedding_gradient,
    "parameter-gradient": parameter_gradient,
    "sample-order": sample_order,
    "class-names": class_names,
    "no-negatives": no_negatives,
    "no-positives": no_positives,
    "equal-embeddings": equal_embeddings,
    "untouched-input": untouched_input,
    "global-generators": global_generators,
    "several-steps": several_steps,
    "state-dict": state_dict_round_trip,
    "pickle": picklable,
    "reference-form": reference_form,
}


def _backward(subject: Subject, loss: nn.Module, batch: Batch, must_move: bool = False) -> None:
    """Value and gradients are finite; with ``must_move`` the gradients are not all zero."""
    views = [batch.embeddings.clone().requires_grad_(), batch.second.clone().requires_grad_()]
    value = subject.loss(loss, Batch(views[0], batch.labels, views[1]))
    assert value.requires_grad, "the value has no gradient, so backward() fails"
    value.backward()
    for view in views if subject.two_views else views[:1]:
        assert view.grad is not None, "no gradient reaches the embeddings"
        assert torch.isfinite(view.grad).all(), "the gradient is not finite"
        assert not must_move or view.grad.any(), "the gradient is zero"


def _same(first: Tensor, second: Tensor, exact: bool = False) -> None:
    tolerance = 0.0 if exact else 1e-4
    assert torch.allclose(first, second, rtol=tolerance, atol=tolerance), f"{first.item()} became {second.item()}"
