"""What a dataset must do."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from mlbench.api import Dataset, ItemTable, MlbenchError
from mlbench.data.splits import mlrc_splits
from mlbench.testing import columns
from mlbench.testing.elsewhere import elsewhere
from mlbench.testing.requirement import Requirement, Violation, require, requirement
from mlbench.testing.same import require_same
from mlbench.testing.sampled import SHARED, fingerprint, sampled
from mlbench.testing.subject import Subject
from mlbench.testing.surroundings import untouched_generators, untouched_settings


@requirement("Subclass mlbench.api.Dataset, and build an ItemTable of ids, labels 0..C-1 and class names.")
def item_table(subject: Subject) -> None:
    """It is a ``Dataset`` whose ``items`` are an ``ItemTable`` with int64 labels; another object has the same."""
    dataset, other = subject.shared, subject.build()
    require(isinstance(dataset, Dataset), f"{type(dataset).__name__} is no subclass of mlbench.api.Dataset")
    items = dataset.items
    require(isinstance(items, ItemTable), f"items is {type(items).__name__}, not an ItemTable")
    require(isinstance(items.labels, np.ndarray) and items.labels.dtype == np.int64, "labels are no int64 array")
    for name in ("ids", "class_names", "views", "splits", "roles", "superclass_names"):
        require(getattr(items, name) == getattr(other.items, name), f"another object has other {name}")
    for name in ("labels", "superclasses", "boxes"):
        first, second = (getattr(table, name) for table in (items, other.items))
        require((first is None) == (second is None), f"another object has other {name}")
        if first is not None:
            require_same(first, second, f"{name} of another object")


@requirement("Give it more classes: a fold needs training, validation and test classes of its own.")
def splits(subject: Subject) -> None:
    """Its classes can be cut into disjoint training, validation and test classes; each has two items or more."""
    items = subject.shared.items
    try:
        mlrc_splits(len(items.class_names), folds=2)
    except MlbenchError as error:
        raise Violation(str(error)) from None
    alone = int(np.argmin(items.counts))
    require(items.counts[alone] > 1, f"class {items.class_names[alone]!r} has a single item, nothing to retrieve")


@requirement(
    "Decode to a NumPy array [H, W, C] of uint8 with C = 1 or 3, or set vector_size to D and load float32 [D]; raise "
    "DataError naming the item if damaged."
)
def items_load(subject: Subject) -> None:
    """Every item loads, as ``[H, W, 1]`` or ``[H, W, 3]`` uint8, all alike in channels, or as a finite vector."""
    dataset, size = subject.shared, subject.shared.vector_size
    channels = set()
    for index in sampled(dataset.items.labels):
        name = dataset.items.ids[index]
        try:
            pixels = dataset.load(index)
        except Exception as error:
            raise Violation(f"item {name} does not load: {type(error).__name__}: {error}") from error
        if size is not None:
            fits = isinstance(pixels, np.ndarray) and pixels.dtype == np.float32 and pixels.shape == (size,)
            require(fits and np.isfinite(pixels).all(), f"item {name} is no finite float32 vector of length {size}")
            continue
        require(isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8, f"item {name} is no uint8 array")
        require(pixels.ndim == 3 and pixels.size and pixels.shape[2] in (1, 3), f"item {name} is {pixels.shape}")
        channels.add(pixels.shape[2])
    require(size is not None or len(channels) == 1, f"items have {sorted(channels)} channels")


@requirement("Load item i from what items.ids[i] names, and from nothing that changes.")
def items_stay(subject: Subject) -> None:
    """An item loads to the same pixels again, in another order and of another object."""
    chosen = sampled(subject.shared.items.labels)[:32]
    pixels = [_copied(subject.shared, index) for index in chosen]
    other = subject.build()
    again = [_copied(other, index) for index in reversed(chosen)]
    require_same(pixels, again[::-1], "pixels loaded again")


@requirement("Remove copies, or put them into one class: a test class whose pictures were trained on is no test.")
def overlap(subject: Subject) -> None:
    """No picture is in two classes, but for one in a hundred; else training and test share pictures."""
    dataset = subject.shared
    classes: dict[bytes, set[int]] = {}
    for index in sampled(dataset.items.labels):
        classes.setdefault(fingerprint(dataset, index), set()).add(int(dataset.items.labels[index]))
    shared = [found for found in classes.values() if len(found) > 1]
    names = [dataset.items.class_names[label] for label in sorted(shared[0])] if shared else []
    message = f"{len(shared)} of {len(classes)} pictures are in several classes, one of them in {', '.join(names)}"
    require(len(shared) <= SHARED * len(classes), message)


@requirement("Hash sorted names and file contents with hashlib; not hash(), ids, times or the order of a set.")
def content_hash(subject: Subject) -> None:
    """Its content hash is a SHA-256 in hex, and the same for another object and in another process."""
    found = subject.shared.content_hash
    sound = isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found)
    require(sound, f"content_hash is {found!r}, not 64 hex digits")
    other = subject.build().content_hash
    require(other == found, f"another object has the content hash {other}, not {found}")
    other = elsewhere(subject.resolved.component, subject.resolved.arguments, "content_hash")
    require(other == found, f"another process has the content hash {other}, not {found}")


@requirement("Draw from np.random.default_rng(seed) of your own; never seed globally.")
def global_generators(subject: Subject) -> None:
    """Building, hashing and loading draw nothing from the global generators."""
    with untouched_generators():
        _exercise(subject)


@requirement("Set nothing for the process; use context managers.")
def global_settings(subject: Subject) -> None:
    """Torch's and NumPy's settings stay as they are."""
    with untouched_settings():
        _exercise(subject)


CHECKS: tuple[Requirement, ...] = (
    item_table,
    splits,
    *columns.CHECKS,
    items_load,
    items_stay,
    overlap,
    content_hash,
    global_generators,
    global_settings,
)


def _copied(dataset: Any, index: int) -> npt.NDArray[np.uint8]:
    return np.array(dataset.load(index))


def _exercise(subject: Subject) -> None:
    dataset = subject.resolved.build()
    _ = dataset.items, dataset.content_hash
    dataset.load(0)
