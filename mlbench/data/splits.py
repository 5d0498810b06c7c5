"""Class-disjoint folds: the split rule of "A Metric Learning Reality Check", checked when it is built."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from itertools import combinations

from mlbench.api.errors import ConfigError, DataError

_MIN_VALIDATION_CLASSES = 2


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
class ClassSplits:
    """The folds and the one test set that all of them share.

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
            _require_sets(named)
            _require_disjoint(named)
        _require_disjoint({f"fold {fold.index} val": fold.val for fold in self.folds})

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over the canonical JSON of all class indices."""
        return sha256(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def mlrc_splits(classes: int, folds: int = 4) -> ClassSplits:
    """The folds of the Reality Check over classes ``0..classes-1``.

    The second half of the classes is the test set. Of the first half, fold p starts at ``floor(p/folds * half)`` and
    takes, with wrap-around, the next classes for training and ``floor(classes / (2*folds))`` after them for
    validation. The public code's rule lets train and validation overlap when the number of classes is odd; here
    training then has one class fewer. The class in the middle is a test class, as it is there.

    Args:
        classes: Number of classes of the dataset.
        folds: Number of folds.

    Raises:
        ConfigError: If ``folds`` is below 2.
        DataError: If that leaves fewer than 2 validation classes: with one, every neighbour is a hit and MAP@R is 1.

    >>> [fold.val for fold in mlrc_splits(16).folds]
    [(6, 7), (0, 1), (2, 3), (4, 5)]
    """
    if folds < 2:
        raise ConfigError(f"folds must be at least 2, got {folds}")
    needed = 2 * _MIN_VALIDATION_CLASSES * folds
    if classes < needed:
        raise DataError(
            f"{classes} classes are too few for {folds} folds, which need at least {needed} (half of the classes are "
            f"the test set, and each fold validates on at least {_MIN_VALIDATION_CLASSES} others); {_remedy(classes)}"
        )
    half, val = classes // 2, classes // (2 * folds)
    return ClassSplits(
        folds=tuple(_fold(index, index * half // folds, half, val) for index in range(folds)),
        test=tuple(range(half, classes)),
    )


def _fold(index: int, start: int, half: int, val: int) -> Fold:
    ring = [(start + step) % half for step in range(half)]
    return Fold(index=index, train=tuple(sorted(ring[: half - val])), val=tuple(sorted(ring[half - val :])))


def _remedy(classes: int) -> str:
    most = classes // (2 * _MIN_VALIDATION_CLASSES)
    return f"use a dataset with more classes{f', or at most {most} folds' if most >= 2 else ''}"


def _require_sets(named: dict[str, tuple[int, ...]]) -> None:
    for name, classes in named.items():
        if not classes:
            raise DataError(f"splits: {name} has no classes")
        if len(set(classes)) != len(classes):
            raise DataError(f"splits: {name} names a class twice")


def _require_disjoint(named: dict[str, tuple[int, ...]]) -> None:
    for (one, classes), (other, others) in combinations(named.items(), 2):
        if shared := sorted(set(classes) & set(others)):
            raise DataError(f"splits: {one} and {other} share {len(shared)} classes, among them class {shared[0]}")
