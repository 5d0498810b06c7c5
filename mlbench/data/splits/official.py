"""The split that the dataset's owner published, as the field uses it."""

from typing import ClassVar

import numpy as np

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.api.splits import ClassSplits
from mlbench.data.splits.mlrc import mlrc_splits
from mlbench.data.splits.query_gallery import searching
from mlbench.data.splits.ring import ring_folds


class Official:
    """The owner's training classes are split into folds, the owner's test classes are the test.

    What the owner holds out for validation is training data: folds are carved out of both together. Where the owner
    names queries and a gallery (In-Shop), those search these. Where every class is on both sides (CUB, Cars196: a split
    for classification) no class would be unseen; there the field trains on the first half of the classes and tests on
    the second.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="The owner's train and test classes, query and gallery; halves where the owner's are not disjoint"
    )

    def __call__(self, items: ItemTable, folds: int) -> ClassSplits:
        """See `SplitScheme`.

        Raises:
            DataError: If the table names no split, some but not all classes are on both sides, a class is named for a
                part of its items only, or there are too few classes.
        """
        train, test = owner_classes(items)
        if train == test:
            return mlrc_splits(len(items.class_names), folds)
        if shared := set(train) & set(test):
            name = items.class_names[min(shared)]
            raise DataError(
                f"split official: {len(shared)} classes are in both train and test, among them {name!r}, and others "
                "are not; correct the table, or use the split mlrc"
            )
        _require_whole(items)
        splits = ClassSplits(ring_folds(train, folds), test)
        return searching(items, splits, np.array(items.roles)) if any(items.roles or ()) else splits


def owner_classes(items: ItemTable) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The classes of the owner's training and test items. Without test items, those of validation are the test.

    Raises:
        DataError: If one of the two is empty.
    """
    splits = np.array(items.splits or (), dtype=str)
    held_out = "test" if "test" in splits else "val"
    seen = items.labels[(splits != held_out) & (splits != "")] if len(splits) else items.labels[:0]
    test = items.labels[splits == held_out] if len(splits) else seen
    if not len(seen) or not len(test):
        named = ", ".join(sorted(set(splits.tolist()) - {""})) or "none"
        raise DataError(
            f"split official: the table names no train and test items (splits: {named}); use the split mlrc"
        )
    return tuple(np.unique(seen).tolist()), tuple(np.unique(test).tolist())


def _require_whole(items: ItemTable) -> None:
    """Refuse a class of which some items are in a split and some in none: which are meant to be seen?"""
    named = np.array(items.splits) != ""
    torn = np.intersect1d(items.labels[named], items.labels[~named])
    if len(torn):
        name = items.class_names[torn[0]]
        raise DataError(f"split official: of class {name!r} some items are in a split and some are in none")
