"""What datasets of image files share: decoding, the content hash, and their owner's folder."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.data.classic.entries import Entry, item_table
from mlbench.data.classic.layout import Layout, find_folder, matching
from mlbench.data.content import Part, content_hash, table_parts
from mlbench.data.decoding import decode_rgb
from mlbench.data.prepare.location import dataset_folder


class ImageFiles(Dataset):
    """Items are image files that an annotation lists; all are converted to RGB."""

    #: Its bare id, which errors begin with.
    id: ClassVar[str]

    @abstractmethod
    def _entries(self) -> Sequence[Entry]:
        """What the annotation says, one entry per image, in a fixed order."""

    @abstractmethod
    def _file(self, name: str) -> Path:
        """Where the image with this id is."""

    @cached_property
    def items(self) -> ItemTable:
        """The item table.

        Raises:
            DataError: If the folder or its annotation is not the dataset's, or damaged.
        """
        return item_table(self._entries())

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """Decode an image to RGB ``[H, W, 3]``; see :func:`mlbench.data.decoding.decode_rgb`.

        Raises:
            DataError: If it is missing or damaged; names the file and the reason.
        """
        return decode_rgb(self._file(self.items.ids[index]))

    @cached_property
    def content_hash(self) -> str:
        """Over the item table and the bytes of all images; see :func:`mlbench.data.content.content_hash`.

        Raises:
            DataError: If images are missing.
        """
        return content_hash(self._parts(), [(name, self._file(name)) for name in self.items.ids])

    def _parts(self) -> list[Part]:
        """What the content hash covers besides the images."""
        return [self.id, *table_parts(self.items)]


class OwnerFolder(ImageFiles):
    """Image files in their owner's layout.

    Args:
        path: The folder that the owner's archives unpack into, or the one that holds it; by default where
            ``mlbench datasets prepare`` put it.
    """

    #: Name of the folder that the owner's archive unpacks into, if there is one.
    top: ClassVar[str] = ""
    #: What must be there; each of the layouts is enough.
    layouts: ClassVar[tuple[Layout, ...]]
    #: The folder that ids are relative to.
    images: ClassVar[str] = ""

    def __init__(self, path: str | None = None) -> None:
        self._path = path

    @cached_property
    def folder(self) -> Path:
        """The folder in the owner's layout.

        Raises:
            DataError: If it is not there.
        """
        return find_folder(self.id, dataset_folder(self.id, self._path, self.archives), self.top, self.layouts)

    @classmethod
    def unpacked(cls, folder: Path) -> bool:
        """Whether a folder, or the owner's folder in it, has the owner's layout."""
        return matching(folder, cls.top, cls.layouts) is not None

    def _file(self, name: str) -> Path:
        return self.folder / self.images / name
