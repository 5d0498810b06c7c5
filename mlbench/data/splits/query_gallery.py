"""Tests in which some items search among others."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.api.splits import ClassSplits, ItemSplits
from mlbench.data.splits.mlrc import mlrc_splits


class QueryGallery:
    """The classes of `mlrc`; in the test, items with the role query search those with the role gallery.

    Training and validation use all items of their classes. Items of test classes without a role are not used.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="The classes of mlrc; in the test, queries search the gallery, by the roles of the items"
    )

    def __call__(self, items: ItemTable, folds: int) -> ClassSplits:
        """See `SplitScheme`.

        Raises:
            DataError: If the test classes have no query or no gallery, or there are too few classes.
        """
        if not any(items.roles or ()):
            raise DataError("split query-gallery: the dataset names no queries and no gallery; use the split mlrc")
        return searching(items, mlrc_splits(len(items.class_names), folds), np.array(items.roles))


def searching(
    items: ItemTable,
    classes: ClassSplits,
    roles: npt.NDArray[np.str_],
    selection: npt.NDArray[np.bool_] | None = None,
) -> ItemSplits:
    """Class splits whose test is one of queries and a gallery.

    Args:
        items: The item table.
        classes: The folds and the test classes.
        roles: ``"query"``, ``"gallery"`` or ``""``; of test classes alone it is looked at. ``[N]``
        selection: Whether training and validation may use the item; all by default. ``[N]``

    Raises:
        DataError: If the test has no query or no gallery, or no query has an item of its class in the gallery.
    """
    tested = np.isin(items.labels, classes.test)
    chosen = np.isin(items.labels, [label for fold in classes.folds for label in (*fold.train, *fold.val)])
    if selection is not None:
        chosen &= selection
    queries, gallery = (np.flatnonzero(tested & (roles == role)) for role in ("query", "gallery"))
    for name, found in (("query", queries), ("gallery", gallery)):
        if not len(found):
            raise DataError(f"splits: none of the {int(tested.sum())} items of the test classes is a {name}")
    if not np.isin(items.labels[queries], items.labels[gallery]).any():
        raise DataError("splits: no query of the test classes has an item of its class in the gallery")
    parts = (tuple(found.tolist()) for found in (np.flatnonzero(chosen), queries, gallery))
    return ItemSplits(classes.folds, classes.test, *parts)
