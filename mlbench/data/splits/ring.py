"""Validation carved out of the training classes, class-disjointly: the rule of the Reality Check."""

from collections.abc import Sequence

from mlbench.api.errors import ConfigError, DataError
from mlbench.api.splits import Fold

#: With one validation class every neighbour is a hit and MAP@R is 1.
MIN_VALIDATION_CLASSES = 2


def ring_folds(classes: Sequence[int], folds: int) -> tuple[Fold, ...]:
    """Folds over training classes that are thought of as a ring.

    Fold p starts at ``floor(p / folds * T)`` of the T classes and takes, with wrap-around, the next
    ``T - floor(T / folds)`` for training and the ``floor(T / folds)`` after them for validation.

    Args:
        classes: The training classes, in order. ``[T]``
        folds: Number of folds.

    Raises:
        ConfigError: If ``folds`` is below 2.
        DataError: If that leaves fewer than 2 validation classes.

    >>> [fold.val for fold in ring_folds(range(8), folds=4)]
    [(6, 7), (0, 1), (2, 3), (4, 5)]
    """
    require_enough(len(classes), MIN_VALIDATION_CLASSES, folds, "training classes", "")
    total, val = len(classes), len(classes) // folds
    return tuple(_fold(index, classes, index * total // folds, val) for index in range(folds))


def _fold(index: int, classes: Sequence[int], start: int, val: int) -> Fold:
    ring = [classes[(start + step) % len(classes)] for step in range(len(classes))]
    cut = len(ring) - val
    return Fold(index=index, train=tuple(sorted(ring[:cut])), val=tuple(sorted(ring[cut:])))


def require_enough(classes: int, per_fold: int, folds: int, what: str, why: str) -> None:
    """Refuse fewer than ``per_fold`` classes for each fold.

    Raises:
        ConfigError: If ``folds`` is below 2.
        DataError: Says how many are needed and what would help.
    """
    if folds < 2:
        raise ConfigError(f"folds must be at least 2, got {folds}")
    if classes >= per_fold * folds:
        return
    most = classes // per_fold
    raise DataError(
        f"{classes} {what} are too few for {folds} folds, which need at least {per_fold * folds} ({why}each fold "
        f"validates on at least {MIN_VALIDATION_CLASSES} others); use a dataset with more classes"
        + (f", or at most {most} folds" if most >= 2 else "")
    )
