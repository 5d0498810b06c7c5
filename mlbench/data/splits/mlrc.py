"""The split of "A Metric Learning Reality Check" (Musgrave, Belongie, Lim, ECCV 2020): halves of the classes."""

from typing import ClassVar

from mlbench.api.dataset import ItemTable
from mlbench.api.info import ComponentInfo
from mlbench.api.splits import ClassSplits
from mlbench.data.splits.ring import MIN_VALIDATION_CLASSES, require_enough, ring_folds


class Mlrc:
    """The second half of the classes is the test; folds over the first half. Whatever the owner's split is."""

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="The Reality Check: the second half of the classes is the test, folds over the first half",
        citation="Musgrave, Belongie, Lim: A Metric Learning Reality Check. ECCV 2020, arXiv 2003.08505",
    )

    def __call__(self, items: ItemTable, folds: int) -> ClassSplits:
        """See `mlrc_splits`."""
        return mlrc_splits(len(items.class_names), folds)


def mlrc_splits(classes: int, folds: int = 4) -> ClassSplits:
    """The folds of the Reality Check over classes ``0..classes-1``.

    The second half of the classes is the test set; `ring_folds` splits the first. The public code's rule lets train and
    validation overlap when the number of classes is odd; here training then has one class fewer. The class in the
    middle is a test class, as it is there.

    Args:
        classes: Number of classes of the dataset.
        folds: Number of folds.

    Raises:
        ConfigError: If ``folds`` is below 2.
        DataError: If that leaves fewer than 2 validation classes.

    >>> mlrc_splits(16).test
    (8, 9, 10, 11, 12, 13, 14, 15)
    """
    require_enough(classes, 2 * MIN_VALIDATION_CLASSES, folds, "classes", "half of the classes are the test set, and ")
    return ClassSplits(ring_folds(range(classes // 2), folds), tuple(range(classes // 2, classes)))
