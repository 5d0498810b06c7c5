"""A dataset without the images that cannot be decoded."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest

_SHOWN = 3


class Without(Dataset):
    """A dataset without some of its items; its content hash says which.

    Args:
        whole: The dataset.
        skipped: Ids of the items to leave out.

    Raises:
        DataError: If the dataset has no such item, or a class keeps fewer than two.
    """

    def __init__(self, whole: Dataset, skipped: tuple[str, ...]) -> None:
        self.whole = whole
        self.skipped = skipped
        #: Indices of the items that stay.
        self.kept = np.flatnonzero(~np.isin(np.array(whole.items.ids), np.array(skipped)))
        if len(self.kept) + len(skipped) != len(whole.items):
            raise DataError(f"{len(skipped)} items were skipped when this was planned, not all of them exist any more")
        _check_classes(whole.items, self.kept)

    @cached_property
    def items(self) -> ItemTable:
        """The item table of those that stay; the classes are the same."""
        whole = self.whole.items
        return replace(
            whole,
            ids=self._of(whole.ids),
            labels=whole.labels[self.kept],
            views=self._of(whole.views),
            splits=self._of(whole.splits),
            roles=self._of(whole.roles),
            boxes=None if whole.boxes is None else whole.boxes[self.kept],
        )

    def _of(self, values: Any) -> Any:
        return values and tuple(values[index] for index in self.kept.tolist())

    @property
    def vector_size(self) -> int | None:
        """As of the whole."""
        return self.whole.vector_size

    def load(self, index: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """See `Dataset.load`."""
        return self.whole.load(int(self.kept[index]))

    @cached_property
    def content_hash(self) -> str:
        """Over that of the whole and what is skipped."""
        return digest([self.whole.content_hash, "without", *self.skipped])


def _check_classes(items: ItemTable, kept: npt.NDArray[np.int64]) -> None:
    left = np.bincount(items.labels[kept], minlength=len(items.class_names))
    short = np.flatnonzero((left < 2) & (left < items.counts)).tolist()
    if short:
        names = ", ".join(f"{items.class_names[index]!r} ({left[index]} left)" for index in short[:_SHOWN])
        more = f" and {len(short) - _SHOWN} more" if len(short) > _SHOWN else ""
        raise DataError(
            f"skipping damaged images leaves fewer than the 2 images that retrieval needs in {names}{more}; "
            "restore their images, or take the classes out of the dataset"
        )
