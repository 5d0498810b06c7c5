"""What a miner must do."""

import copy
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mlbench.testing.batch import Batch, balanced, batch_of, duplicates, one_class, singletons
from mlbench.testing.subject import NotApplicable, Subject, untouched_generators


def truthful(subject: Subject) -> None:
    """Indices are in range, positives share the anchor's label and are not the anchor, negatives do not share it."""
    for seed in range(3):
        _check(subject.call(subject.build(), balanced(seed)), balanced(seed).labels)


def uneven_classes(subject: Subject) -> None:
    """The same holds where classes have different sizes, one of them a single sample."""
    batch = batch_of([0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 1])
    _check(subject.call(subject.build(), batch), batch.labels)


def no_negatives(subject: Subject) -> None:
    """A batch of one class: the result may be empty."""
    _check(subject.call(subject.build(), one_class()), one_class().labels)


def no_positives(subject: Subject) -> None:
    """A batch of classes with one sample each: the result may be empty."""
    _check(subject.call(subject.build(), singletons()), singletons().labels)


def equal_embeddings(subject: Subject) -> None:
    """Equal embeddings within every class: the anchor is told from its copies by index, not by distance."""
    _check(subject.call(subject.build(), duplicates()), duplicates().labels)


def untouched_input(subject: Subject) -> None:
    """The tensors it is given stay as they are."""
    batch = balanced()
    before = copy.deepcopy(batch)
    subject.call(subject.build(), batch)
    for name in ("embeddings", "labels"):
        assert torch.equal(getattr(before, name), getattr(batch, name)), f"changes {name} in place"


def global_generators(subject: Subject) -> None:
    """It draws no random numbers from the global generators."""
    miner, batch = subject.build(), balanced()
    with untouched_generators():
        miner(batch.embeddings, batch.labels)


def picklable(subject: Subject) -> None:
    """It survives pickling, before and after it was used."""
    miner = subject.build()
    for seed in range(2):
        copied = pickle.loads(pickle.dumps(miner))
        pairs = zip(subject.call(miner, balanced(seed)), subject.call(copied, balanced(seed)), strict=True)
        assert all(torch.equal(first, second) for first, second in pairs), "the copy mines something else"


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


CHECKS: Mapping[str, Callable[[Subject], None]] = {
    "truthful": truthful,
    "uneven-classes": uneven_classes,
    "no-negatives": no_negatives,
    "no-positives": no_positives,
    "equal-embeddings": equal_embeddings,
    "untouched-input": untouched_input,
    "global-generators": global_generators,
    "pickle": picklable,
    "reference-form": reference_form,
}


def _check(mined: Any, labels: Tensor, reference: Batch | None = None) -> None:
    """``mined`` is ``(a, p, n)`` or ``(a1, p, a2, n)`` and true about the labels."""
    assert isinstance(mined, tuple) and len(mined) in (3, 4), "returned neither 3 nor 4 index tensors"
    others = labels if reference is None else reference.labels
    anchor, positive, negative_anchor, negative = mined if len(mined) == 4 else (mined[0], mined[1], mined[0], mined[2])
    _in_range("anchors", anchor, len(labels))
    _in_range("anchors of negatives", negative_anchor, len(labels))
    _in_range("positives", positive, len(others))
    _in_range("negatives", negative, len(others))
    assert len(anchor) == len(positive) and len(negative_anchor) == len(negative), "index tensors differ in length"
    assert torch.equal(labels[anchor], others[positive]), "a positive has another label than its anchor"
    assert not (labels[negative_anchor] == others[negative]).any(), "a negative has the label of its anchor"
    assert reference is not None or not (anchor == positive).any(), "an anchor is its own positive"


def _in_range(what: str, indices: Tensor, size: int) -> None:
    assert indices.dtype == torch.int64 and indices.ndim == 1, f"{what}: {indices.dtype} of {indices.ndim} dimensions"
    assert ((indices >= 0) & (indices < size)).all(), f"{what}: an index is out of range 0..{size - 1}"
