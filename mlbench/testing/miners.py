"""What a miner must do."""

from typing import Any

import torch
from torch import Tensor

from mlbench.testing import conduct
from mlbench.testing.batch import (
    Batch,
    balanced,
    batch_of,
    collapsed,
    duplicates,
    one_class,
    relabelled,
    singletons,
    uneven,
    zero_vectors,
)
from mlbench.testing.conduct import outcome
from mlbench.testing.requirement import NotApplicable, Requirement, require, requirement
from mlbench.testing.same import require_same
from mlbench.testing.subject import Subject

_TRUE = (
    "Build masks from labels: positives `labels[:, None] == labels[None]` without the diagonal, negatives its inverse; "
    "map positions in a filtered or sorted batch back to positions in the batch."
)
_EMPTY = "Return empty int64 tensors where nothing can be mined, and mask before taking a maximum."


@requirement(_TRUE)
def truthful(subject: Subject) -> None:
    """Indices are in range, positives share the anchor's label and are not the anchor, negatives do not share it."""
    for seed in range(3):
        _check(subject.use(subject.build(), balanced(seed)), balanced(seed).labels)


@requirement("Check the direction of the comparisons: a distance is small where a similarity is large.")
def mines_something(subject: Subject) -> None:
    """In at least one of ten batches of overlapping classes it finds something."""
    for seed in range(10):
        batch = balanced(seed)
        noise = torch.randn(batch.embeddings.shape, generator=torch.Generator().manual_seed(100 + seed))
        mined = subject.use(subject.build(), Batch(batch.embeddings + 2 * noise, batch.labels, batch.second))
        if any(len(indices) for indices in mined):
            return
    require(False, "every result is empty")


@requirement(_TRUE)
def uneven_classes(subject: Subject) -> None:
    """The same holds where classes have different sizes, one of them a single sample."""
    _on(subject, uneven())


@requirement("Compare labels with ==; compute nothing else with them.")
def class_names(subject: Subject) -> None:
    """Only which labels are equal matters, not what they are."""
    for batch in (balanced(), uneven()):
        first, second = (outcome(subject, subject.build(), each) for each in (batch, relabelled(batch)))
        require_same(first, second, "classes called otherwise")


@requirement(_EMPTY)
def no_negatives(subject: Subject) -> None:
    """A batch of one class: the result may be empty."""
    _on(subject, one_class())


@requirement(_EMPTY)
def no_positives(subject: Subject) -> None:
    """A batch of classes with one sample each: the result may be empty."""
    _on(subject, singletons())


@requirement("Tell an anchor from its copies by index, not by distance 0.")
def equal_embeddings(subject: Subject) -> None:
    """Equal embeddings within every class, and a batch of nothing but equal embeddings, give true results."""
    _on(subject, duplicates())
    _on(subject, collapsed())


@requirement("Guard the division by the norm: torch.nn.functional.normalize does.")
def zero_norm(subject: Subject) -> None:
    """Embeddings of norm 0 give true results."""
    _on(subject, zero_vectors())


@requirement("Make constants and masks in the embeddings' dtype, and return int64 indices.")
def dtypes(subject: Subject) -> None:
    """Of float64 and bfloat16 embeddings, and under autocast, it gives true int64 indices."""
    for dtype in (torch.float64, torch.bfloat16):
        _on(subject, balanced().to(dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _on(subject, balanced())


@requirement("Put forward under torch.no_grad(); call no backward.")
def leaves_gradients_alone(subject: Subject) -> None:
    """Embeddings that require gradients are mined, and neither they nor the results get one."""
    batch = balanced()
    embeddings = batch.embeddings.clone().requires_grad_()
    mined = subject.use(subject.build(), Batch(embeddings, batch.labels, batch.second))
    _check(mined, batch.labels)
    require(embeddings.requires_grad and embeddings.grad is None, "changes the gradient of the embeddings")


@requirement("Compare labels with ref_labels and index ref_emb; or raise ValueError if ref_emb is given.")
def reference_form(subject: Subject) -> None:
    """With ``ref_emb``, positives and negatives are indices into it; or it refuses by a ``ValueError``."""
    batch, reference = balanced(), batch_of([0, 0, 1, 2, 2, 3, 7])
    try:
        mined = subject.build()(
            batch.embeddings, batch.labels, ref_emb=reference.embeddings, ref_labels=reference.labels
        )
    except ValueError as error:
        raise NotApplicable(f"it refuses ref_emb: {error}") from None
    _check(mined, batch.labels, reference)


CHECKS: tuple[Requirement, ...] = (
    truthful,
    mines_something,
    uneven_classes,
    class_names,
    no_negatives,
    no_positives,
    equal_embeddings,
    zero_norm,
    dtypes,
    leaves_gradients_alone,
    conduct.untouched_input,
    conduct.global_generators,
    conduct.global_settings,
    conduct.determinism,
    conduct.picklable,
    reference_form,
    conduct.reference_parity,
)


def _on(subject: Subject, batch: Batch) -> None:
    _check(subject.use(subject.build(), batch), batch.labels)


def _check(mined: Any, labels: Tensor, reference: Batch | None = None) -> None:
    """``mined`` is ``(a, p, n)`` or ``(a1, p, a2, n)`` and true about the labels."""
    require(isinstance(mined, tuple) and len(mined) in (3, 4), "returned neither 3 nor 4 index tensors")
    others = labels if reference is None else reference.labels
    anchor, positive, negative_anchor, negative = mined if len(mined) == 4 else (mined[0], mined[1], mined[0], mined[2])
    _in_range("anchors", anchor, len(labels))
    _in_range("anchors of negatives", negative_anchor, len(labels))
    _in_range("positives", positive, len(others))
    _in_range("negatives", negative, len(others))
    require(len(anchor) == len(positive) and len(negative_anchor) == len(negative), "index tensors differ in length")
    require(torch.equal(labels[anchor], others[positive]), "a positive has another label than its anchor")
    require(not (labels[negative_anchor] == others[negative]).any(), "a negative has the label of its anchor")
    require(reference is not None or not (anchor == positive).any(), "an anchor is its own positive")


def _in_range(what: str, indices: Tensor, size: int) -> None:
    require(isinstance(indices, Tensor), f"{what}: {type(indices).__name__}, not a tensor")
    require(indices.dtype == torch.int64 and indices.ndim == 1, f"{what}: {indices.dtype} of {indices.ndim} dimensions")
    require(((indices >= 0) & (indices < size)).all(), f"{what}: an index is out of range 0..{size - 1}")
