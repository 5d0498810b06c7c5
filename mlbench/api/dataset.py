"""The contract of a dataset: an item table and a loader for one item."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo


@dataclass(frozen=True, kw_only=True)
class ItemTable:
    """One row per sample, in a fixed order.

    Attributes:
        ids: Stable name of every item, unique. ``[N]``
        labels: Class index of every item, ``0..C-1``, in the dataset's own fixed order, which splits cut into runs.
            ``[N]`` int64
        class_names: Name of every class. ``[C]``
        views: The view or modality of every item (font face, vendor, camera), where there is one. ``[N]``

    Raises:
        DataError: If lengths differ, an id repeats, a label has no class or a class has no item.
    """

    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    views: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.labels) or (self.views is not None and len(self.views) != len(self.ids)):
            raise DataError(f"item table: {len(self.ids)} ids, {len(self.labels)} labels: lengths differ")
        if len(set(self.ids)) != len(self.ids):
            raise DataError("item table: an item id occurs twice")
        present = np.unique(self.labels)
        if len(present) != len(self.class_names) or (
            len(present) and present[[0, -1]].tolist() != [0, len(present) - 1]
        ):
            raise DataError(
                f"item table: labels must be 0..{len(self.class_names) - 1} with every class present, "
                f"got {len(present)} distinct labels for {len(self.class_names)} classes"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of items of every class, ``[C]``."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)


class Dataset(ABC):
    """A dataset plugin: subclass, fill in the three members, name the class in the group ``mlbench.datasets``.

    The constructor's arguments are the dataset's configuration (paths among them). `table_dataset` makes such a class
    from two functions.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo()
    #: Licence of the data, and how to cite it.
    licence: ClassVar[str] = ""

    @property
    @abstractmethod
    def items(self) -> ItemTable:
        """The item table."""

    @property
    def vector_size(self) -> int | None:
        """Length D of the items if they are vectors; None if they are images."""
        return None

    @abstractmethod
    def load(self, index: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """Decode item ``index``: an image ``[H, W, C]`` uint8 with C = 1 or 3, or a vector ``[D]`` float32.

        Raises:
            DataError: If the item cannot be decoded; the message names it.
        """

    @property
    @abstractmethod
    def content_hash(self) -> str:
        """SHA-256 (hex) over everything that can change what ``items`` and ``load`` give; see `mlbench.api.digest`."""
