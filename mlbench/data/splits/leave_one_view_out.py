"""Retrieval across a gap: from a view that no training has seen, of classes that no training has seen."""

from typing import ClassVar

import numpy as np

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.api.splits import ClassSplits
from mlbench.data.splits.mlrc import mlrc_splits
from mlbench.data.splits.query_gallery import searching
from mlbench.data.splits.ring import ring_folds


class LeaveOneViewOut:
    """One view (font face, vendor, camera) is held out: it is never trained on, and its items search all others.

    Training and validation use the other views of the first half of the classes, in the folds of `mlrc`; classes that
    have fewer than two items there are left out. In the test, the held-out view's items of the second half are the
    queries, those of the other views the gallery.

    Args:
        view: The view that is held out, as in the dataset's ``items.views``.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="One view is never trained on; in the test its items search those of the other views",
        tags=("cross-view",),
    )

    def __init__(self, view: str) -> None:
        self.view = view

    def __call__(self, items: ItemTable, folds: int) -> ClassSplits:
        """See `SplitScheme`.

        Raises:
            DataError: If there is no such view, too few classes have other ones, or the test has no query or gallery.
        """
        if self.view not in (items.views or ()):
            known = ", ".join(sorted(set(items.views or ()))) or "none"
            raise DataError(f"split leave-one-view-out: the dataset has no view {self.view!r}; its views: {known}")
        other = np.array(items.views) != self.view
        halves = mlrc_splits(len(items.class_names), folds)
        counts = np.bincount(items.labels[other], minlength=len(items.class_names))
        train = [label for label in range(halves.test[0]) if counts[label] >= 2]
        splits = ClassSplits(ring_folds(train, folds), halves.test)
        return searching(items, splits, np.where(other, "gallery", "query"), selection=other)
