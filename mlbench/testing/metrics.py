"""What a metric must do."""

import math
import re
from typing import Any

import torch

from mlbench.api import GalleryMetric, MlbenchError
from mlbench.testing import conduct
from mlbench.testing.batch import Batch, balanced, batch_of, collapsed, duplicates, relabelled, singletons, zero_vectors
from mlbench.testing.brute import retrieval
from mlbench.testing.requirement import NotApplicable, Requirement, require, requirement
from mlbench.testing.same import require_same
from mlbench.testing.subject import Subject

_ROUNDING = 1e-6
_DEFINITION = (
    "The names map_at_r, r_precision, recall_at_K, queries and lone_queries have the definitions of mlbench.testing."
    "brute; give another metric another name."
)


@requirement("Return a dictionary of names and plain numbers; call item() on tensors.")
def named_numbers(subject: Subject) -> None:
    """It gives a dictionary of finite numbers by name, the same names for every batch."""
    first, second = (_numbers(subject, batch) for batch in (balanced(), _noisy()))
    require(set(first) == set(second), f"names change with the batch: {sorted(set(first) ^ set(second))}")
    require(first, "the dictionary is empty")


@requirement("Scale the metric to 0..1, larger is better; counts are ints. Declare why where that is not possible.")
def bounds(subject: Subject) -> None:
    """Every float is in 0..1, every int is a count."""
    for batch in (balanced(), _noisy(), duplicates(), collapsed()):
        for name, value in _numbers(subject, batch).items():
            top = math.inf if isinstance(value, int) else 1 + _ROUNDING
            require(-_ROUNDING <= value <= top, f"{name} is {value}")


@requirement(_DEFINITION)
def brute_force(subject: Subject) -> None:
    """Retrieval metrics by the harness's names are what their definitions give."""
    for batch in (balanced(), _noisy(), batch_of([label for label in range(8) for _ in range(label + 2)], 5)):
        _agree(subject, batch)


@requirement("Break ties by the lower index, and leave the query out by its index.")
def ties(subject: Subject) -> None:
    """They are, where embeddings are equally similar, or even equal: the lower index is nearer."""
    for seed in range(3):
        _agree(subject, _quantised(seed))
    _agree(subject, collapsed())


@requirement("Leave samples without another of their class out of the mean, and count them.")
def lone_queries(subject: Subject) -> None:
    """They are, where some classes have a single sample: those are no queries, but can be retrieved."""
    _agree(subject, batch_of([0, 0, 0, 1, 2, 2, 3, 4, 4, 5, 6]))


@requirement("Let no sample's position matter beyond breaking ties.")
def sample_order(subject: Subject) -> None:
    """The order of the samples does not matter."""
    batch = _noisy()
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1))
    first, second = (_numbers(subject, each) for each in (batch, batch.reordered(order)))
    require_same(first, second, "samples in another order", _ROUNDING)


@requirement("Compare labels with ==; compute nothing else with them.")
def class_names(subject: Subject) -> None:
    """Only which labels are equal matters, not what they are."""
    first, second = (_numbers(subject, batch) for batch in (_noisy(), relabelled(_noisy())))
    require_same(first, second, "classes called otherwise", _ROUNDING)


@requirement("Guard divisions by counts that can be 0, or raise ValueError where nothing can be measured.")
def degenerate(subject: Subject) -> None:
    """Of only lone samples, of one class, and of zero vectors it gives finite numbers or a ``ValueError``."""
    for batch in (singletons(), batch_of([1] * 5), zero_vectors()):
        try:
            _numbers(subject, batch)
        except (ValueError, MlbenchError):
            continue


@requirement("In search(), rank the gallery alone for every query, and leave out queries whose class it lacks.")
def gallery(subject: Subject) -> None:
    """What it gives of queries that search a gallery has the same names, and agrees with their definitions."""
    metric, queries, offered = subject.build(), _noisy(), batch_of([1, 1, 1, 2, 3, 3, 4, 5, 5, 5], 11)
    if not isinstance(metric, GalleryMetric):
        raise NotApplicable("it has no method search")
    arrays = (queries.embeddings, queries.labels, offered.embeddings, offered.labels)
    found = metric.search(*(array.clone() for array in arrays))
    names = sorted(set(found) ^ set(_numbers(subject, queries)))
    require(not names, f"searching a gallery and not, it gives other names: {names}")
    rows, labels, others, other_labels = (array.numpy() for array in arrays)
    expected = retrieval(rows.astype(float), labels, _recalls(found), others.astype(float), other_labels)
    for name in sorted(found.keys() & expected.keys()):
        require_same(expected[name], found[name], f"{name} of a gallery by its definition and by the metric", _ROUNDING)


CHECKS: tuple[Requirement, ...] = (
    named_numbers,
    bounds,
    brute_force,
    ties,
    lone_queries,
    gallery,
    sample_order,
    class_names,
    degenerate,
    conduct.untouched_input,
    conduct.global_generators,
    conduct.global_settings,
    conduct.determinism,
    conduct.picklable,
    conduct.reference_parity,
)


def _noisy() -> Batch:
    """Classes that overlap, so that metrics are neither 0 nor 1."""
    batch = balanced(2)
    noise = torch.randn(batch.embeddings.shape, generator=torch.Generator().manual_seed(7))
    return Batch(batch.embeddings + 2 * noise, batch.labels, batch.second)


def _quantised(seed: int) -> Batch:
    """Vectors of plus and minus one: many ties, and every similarity is exact in float32."""
    batch = balanced(seed)
    signs = torch.where(batch.embeddings > 0, 1.0, -1.0)
    signs[:, 4:] = 0  # sixteen different directions of norm 2 for 32 samples
    return Batch(signs, batch.labels, batch.second)


def _numbers(subject: Subject, batch: Batch) -> dict[str, Any]:
    found = subject.use(subject.build(), batch)
    require(isinstance(found, dict), f"returned {type(found).__name__}, not a dictionary")
    for name, value in found.items():
        require(isinstance(name, str), f"the name {name!r} is no string")
        require(type(value) in (int, float), f"{name} is {type(value).__name__}, not a plain number")
        require(math.isfinite(value), f"{name} is {value}")
    return dict(found)


def _agree(subject: Subject, batch: Batch) -> None:
    found = _numbers(subject, batch)
    expected = retrieval(batch.embeddings.double().numpy(), batch.labels.numpy(), _recalls(found))
    known = sorted(found.keys() & expected.keys())
    if not known:
        raise NotApplicable("none of its names is a retrieval metric of the harness")
    for name in known:
        require_same(expected[name], found[name], f"{name} by its definition and by the metric", _ROUNDING)


def _recalls(found: dict[str, Any]) -> tuple[int, ...]:
    """The K of every Recall@K that was reported."""
    return tuple(int(match[1]) for name in found if (match := re.fullmatch(r"recall_at_(\d+)", name)))
