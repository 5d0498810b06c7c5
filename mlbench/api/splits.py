"""The contract of a split: class-disjoint folds and a test, checked when they are made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from itertools import combinations
from typing import Protocol

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError


@dataclass(frozen=True)
class Fold:
    """What one model is trained on and selected by. It does not know the test classes.

    Attributes:
        index: Number of the fold, from 0.
        train: Class indices, ascending.
        val: Class indices, ascending.
    """

    index: int
    train: tuple[int, ...]
    val: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """What one view shows.

    Attributes:
        classes: Class indices, ascending.
        items: Item indices, ascending: of the classes, only these are shown. None shows all.
    """

    classes: tuple[int, ...]
    items: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ClassSplits:
    """The folds and the one test set that all of them share. In the test every item searches all others.

    Attributes:
        folds: One per model.
        test: Class indices, ascending.

    Raises:
        DataError: If any two of train, validation and test of a fold share a class, two folds share a validation class,
            a set is empty or names a class twice.
    """

    folds: tuple[Fold, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        for fold in self.folds:
            named = {f"fold {fold.index} train": fold.train, f"fold {fold.index} val": fold.val, "test": self.test}
            _require_sets(named, "class")
            _require_disjoint(named, "class")
        _require_disjoint({f"fold {fold.index} val": fold.val for fold in self.folds}, "class")

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over the canonical JSON of all indices."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}  # `asdict` copies every index
        return sha256(json.dumps(found, default=vars, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def fold_parts(self, fold: int) -> tuple[Part, Part]:
        """What the training of a fold is shown: its training part and its validation part."""
        return Part(self.folds[fold].train), Part(self.folds[fold].val)

    def test_parts(self) -> tuple[Part, Part | None]:
        """Queries and gallery of the test; no gallery where the queries search among themselves."""
        return Part(self.test), None


@dataclass(frozen=True)
class ItemSplits(ClassSplits):
    """Splits that also choose among the items of their classes. In the test, queries search a gallery.

    Attributes:
        selection: Indices of the items that training and validation may use.
        queries: Indices of the items of test classes that search.
        gallery: Indices of the items of test classes among which they search.

    Raises:
        DataError: Also if any two of the three share an item, or one is empty or names an item twice.
    """

    selection: tuple[int, ...]
    queries: tuple[int, ...]
    gallery: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        named = {"training and validation": self.selection, "query": self.queries, "gallery": self.gallery}
        _require_sets(named, "item")
        _require_disjoint(named, "item")

    def fold_parts(self, fold: int) -> tuple[Part, Part]:
        """See `ClassSplits.fold_parts`."""
        train, val = super().fold_parts(fold)
        return Part(train.classes, self.selection), Part(val.classes, self.selection)

    def test_parts(self) -> tuple[Part, Part | None]:
        """See `ClassSplits.test_parts`."""
        return Part(self.test, self.queries), Part(self.test, self.gallery)


class SplitScheme(Protocol):
    """A component of the group ``mlbench.splits``: a rule by which a dataset is split."""

    def __call__(self, items: ItemTable, folds: int) -> ClassSplits:
        """Split a dataset; the same table gives the same splits.

        Args:
            items: The dataset's item table.
            folds: Number of folds.

        Raises:
            DataError: If the rule does not fit the table; the message says what it lacks.
        """
        ...


def _require_sets(named: Mapping[str, tuple[int, ...]], what: str) -> None:
    for name, members in named.items():
        if not members:
            raise DataError(f"splits: {name} has no {_plural(what)}")
        if len(set(members)) != len(members):
            raise DataError(f"splits: {name} names {'an' if what == 'item' else 'a'} {what} twice")


def _require_disjoint(named: Mapping[str, tuple[int, ...]], what: str) -> None:
    for (one, members), (other, others) in combinations(named.items(), 2):
        if shared := set(members) & set(others):
            first = f"{what} {min(shared)}"
            raise DataError(f"splits: {one} and {other} share {len(shared)} {_plural(what)}, among them {first}")


def _plural(what: str) -> str:
    return {"class": "classes"}.get(what, f"{what}s")
