"""What a sampler must do."""

import json
import pickle
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from mlbench.testing import conduct
from mlbench.testing.requirement import NotApplicable, Requirement, Violation, require, requirement
from mlbench.testing.same import require_same
from mlbench.testing.subject import Subject, indices_of, stream_of
from mlbench.testing.surroundings import seeded

#: Twelve classes of two to seven samples, named with gaps and out of order.
LABELS = np.random.default_rng(0).permutation(np.repeat(10 * np.arange(12)[::-1] + 5, [2, 3, 4, 5, 6, 7] * 2))
_BATCHES = 40
#: What a sampler that follows the model is shown: embeddings without any order.
_POINTS = np.random.default_rng(1).normal(size=(len(LABELS), 4)).astype(np.float32)


@requirement("Return positions in `labels`, 0..N-1, as a one-dimensional int64 array; no labels, no boolean mask.")
def index_batches(subject: Subject) -> None:
    """Every batch is a one-dimensional int64 array of positions in the labels."""
    for batch in _batches(subject.build()):
        require(isinstance(batch, np.ndarray), f"a batch is {type(batch).__name__}, not an array")
        require(batch.dtype == np.int64 and batch.ndim == 1, f"a batch is {batch.dtype} of {batch.ndim} dimensions")
        require(((batch >= 0) & (batch < len(LABELS))).all(), f"an index is out of range 0..{len(LABELS) - 1}")


@requirement("Fill the last batch from the next pass, and drop no remainder.")
def batch_size(subject: Subject) -> None:
    """Every batch has as many samples as the sampler was told."""
    size = _told(subject, "batch_size")
    for batch in _batches(subject.build()):
        require(len(batch) == size, f"a batch of {len(batch)}, told {size}")


@requirement("Choose distinct classes first, then the samples of each; repeat samples where a class has too few.")
def samples_per_class(subject: Subject) -> None:
    """Every batch has as many samples of each of its classes as the sampler was told, small classes included."""
    wanted = _told(subject, "samples_per_class")
    for batch in _batches(subject.build()):
        classes, counts = np.unique(LABELS[batch], return_counts=True)
        wrong = int(np.argmax(counts != wanted))
        require((counts == wanted).all(), f"{counts[wrong]} samples of class {classes[wrong]}, told {wanted}")


@requirement("Give every sample the number of its group, numbered across classes, not within them.")
def groups(subject: Subject) -> None:
    """Where batches come with groups, every sample has one, and samples of two classes share none."""
    for batch in islice(_raw_stream(subject.build()), _BATCHES):
        if not hasattr(batch, "groups"):
            raise NotApplicable("its batches have no groups")
        require(
            batch.groups.shape == batch.indices.shape, f"{len(batch.groups)} groups of {len(batch.indices)} samples"
        )
        pairs = np.unique(np.stack([batch.groups, LABELS[batch.indices]]), axis=1)
        require(len(np.unique(pairs[0])) == pairs.shape[1], "samples of two classes share a group")


@requirement("Draw the samples of a class without replacement where it has enough of them.")
def distinct_samples(subject: Subject) -> None:
    """No sample is twice in a batch unless its class has fewer samples than are wanted."""
    wanted = _told(subject, "samples_per_class")
    classes, sizes = np.unique(LABELS, return_counts=True)
    large = classes[sizes >= wanted]
    for batch in _batches(subject.build()):
        kept = batch[np.isin(LABELS[batch], large)]
        require(len(np.unique(kept)) == len(kept), "a sample is twice in a batch, though its class has enough")


@requirement("Start another pass where one ends: `while True` around it.")
def endless(subject: Subject) -> None:
    """The stream goes on for ten times as many samples as there are."""
    stream, seen = _stream(subject.build()), 0
    while seen < 10 * len(LABELS):
        batch = next(stream, ())
        require(len(batch), f"the stream ends after {seen} samples")
        seen += len(batch)


@requirement("Shuffle all classes and go through them; do not draw from a fixed or shrinking set.")
def coverage(subject: Subject) -> None:
    """Within a hundred passes every class and every sample is drawn."""
    seen: set[int] = set()
    stream = _stream(subject.build())
    for batch in islice(stream, 100 * len(LABELS) // max(1, len(next(stream)))):
        seen.update(batch.tolist())
        if len(seen) == len(LABELS):
            return
    require(False, f"{len(LABELS) - len(seen)} of {len(LABELS)} samples are never drawn")


@requirement("Make a generator inside `batches`, np.random.default_rng(seed), and keep no state on the sampler.")
def resumable(subject: Subject) -> None:
    """The stream is a pure function of labels and seed: of a used, a pickled or another object, and interleaved."""
    built = subject.build()
    expected = _batches(built)
    with seeded(77):
        require_same(expected, _batches(subject.build()), "another object, other global generators")
    require_same(expected, _batches(built), "the same object again")
    require_same(expected, _batches(pickle.loads(pickle.dumps(built))), "a pickled object")
    first, second = _stream(built), _stream(built, seed=8)
    mixed = [(next(first), next(second))[0] for _ in range(_BATCHES)]
    require_same(expected, mixed, "two streams at a time")


@requirement("Return in `state_dict` all that decides the next batches, as new lists, numbers and texts; no arrays.")
def saved_stream(subject: Subject) -> None:
    """Where a stream has a ``state_dict``, its JSON form continues it in a new stream, and no later draw changes it."""
    for drawn in (0, 1, 13):
        stream = _raw_stream(subject.build())
        if not hasattr(stream, "state_dict"):
            raise NotApplicable("its streams have no state_dict; they are continued by drawing again")
        for _ in range(drawn):
            next(stream)
        state = stream.state_dict()
        text = _json(state)
        expected = [indices_of(next(stream)) for _ in range(_BATCHES)]
        require(_json(state) == text, "a later draw changed the state that was taken before")
        other = _raw_stream(subject.build())
        next(other)
        other.load_state_dict(json.loads(text))
        found = [indices_of(next(other)) for _ in range(_BATCHES)]
        require_same(expected, found, f"a new stream with the state after {drawn} batches")


@requirement("Use the seed.")
def seed_matters(subject: Subject) -> None:
    """Another seed gives another stream."""
    built = subject.build()
    pairs = zip(_batches(built), _batches(built, seed=8), strict=True)
    require(any(not np.array_equal(one, other) for one, other in pairs), "two seeds give the same batches")


@requirement("Raise ConfigError in `batches`, before the first batch, and say what to lower.")
def too_few_classes(subject: Subject) -> None:
    """A training set of one class gives batches, or a ``ValueError`` or an error of mlbench before the first one."""
    from mlbench.api import MlbenchError

    try:
        stream = stream_of(subject.build(), np.zeros(9, dtype=np.int64), 3)
    except (ValueError, MlbenchError):
        return
    next(iter(stream))


CHECKS: tuple[Requirement, ...] = (
    index_batches,
    batch_size,
    samples_per_class,
    groups,
    distinct_samples,
    endless,
    coverage,
    resumable,
    saved_stream,
    seed_matters,
    too_few_classes,
    conduct.untouched_input,
    conduct.global_generators,
    conduct.global_settings,
    conduct.determinism,
    conduct.picklable,
)


def _told(subject: Subject, name: str) -> Any:
    if name not in subject.table:
        raise NotApplicable(f"it has no argument {name}")
    return subject.table[name]


def _stream(built: Any, seed: int = 3) -> Iterator[Any]:
    return map(indices_of, _raw_stream(built, seed))


def _raw_stream(built: Any, seed: int = 3) -> Any:
    if hasattr(built, "refresh"):
        built.refresh(_POINTS.copy(), LABELS.copy())
    return iter(stream_of(built, LABELS.copy(), seed))


def _json(state: Any) -> str:
    try:
        return json.dumps(state)
    except (TypeError, ValueError) as error:
        raise Violation(f"the state has no JSON form: {error}") from error


def _batches(built: Any, seed: int = 3) -> list[Any]:
    return list(islice(_stream(built, seed), _BATCHES))
