"""What the value of a loss may depend on."""

import torch

from mlbench.testing.batch import balanced, relabelled
from mlbench.testing.requirement import NotApplicable, require, requirement
from mlbench.testing.same import require_same
from mlbench.testing.subject import Subject, finite_scalar

_ROUNDING = 1e-4


@requirement("Reduce to one number with mean() or sum(); guard divisions, roots and logarithms of zero.")
def finite_value(subject: Subject) -> None:
    """A batch with several samples of every class gives a finite scalar."""
    subject.loss(subject.build(), balanced())


@requirement("Let no sample's position matter: use masks from labels, not batch[0], [::2] or the first match.")
def sample_order(subject: Subject) -> None:
    """The order of the samples in the batch does not matter."""
    batch = balanced()
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1))
    value, other = (subject.loss(subject.build(), each) for each in (batch, batch.reordered(order)))
    require_same(value, other, "samples in another order", _ROUNDING)


@requirement("Compare labels with ==; compute nothing else with them.")
def class_names(subject: Subject) -> None:
    """Only which labels are equal matters, not what they are. Not asked of a loss with parameters for each class."""
    if any(parameter.requires_grad for parameter in subject.build().parameters()):
        raise NotApplicable("its parameters belong to classes")
    value, other = (subject.loss(subject.build(), each) for each in (balanced(), relabelled(balanced())))
    require_same(value, other, "classes called otherwise", _ROUNDING)


@requirement("Compare embeddings with ref_emb and labels with ref_labels; or raise ValueError if ref_emb is given.")
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
        require(tensor.grad is not None and tensor.grad.any(), f"no gradient reaches {side}")
