"""What the value of a loss may depend on."""

import torch
from torch import Tensor

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


@requirement("Sum over the pairs or triplets of indices_tuple alone; or raise ValueError if it is given.")
def mined_pairs(subject: Subject) -> None:
    """What a miner chose decides value and gradient, or the loss refuses ``indices_tuple`` by a ``ValueError``."""
    batch = balanced()
    triplets = _triplets(batch.labels)
    few = triplets[:, triplets[0] < len(batch) // 4]
    found = []
    for chosen in (triplets, few):
        embeddings = batch.embeddings.clone().requires_grad_()
        try:
            value = subject.build()(embeddings, batch.labels, tuple(chosen), **subject.needed(batch))
        except ValueError as error:
            raise NotApplicable(f"it refuses indices_tuple: {error}") from None
        finite_scalar(value).backward()
        found.append(torch.cat([value.reshape(1), embeddings.grad.flatten()]) if embeddings.grad is not None else value)
    require(not torch.allclose(found[0], found[1]), "a quarter of the triplets gives what all of them give")


def _triplets(labels: Tensor) -> Tensor:
    """For every pair of two samples of a class one negative, indices ``[3, T]``."""
    same = labels[:, None] == labels[None]
    anchors, positives = same.fill_diagonal_(False).nonzero().T
    return torch.stack([anchors, positives, (anchors + len(labels) // 2) % len(labels)])
