"""Datasets whose images the literature also uses cropped to the object."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError
from mlbench.data.classic.entries import item_table
from mlbench.data.classic.image_files import ImageFiles, OwnerFolder
from mlbench.data.content import Part, table_parts


class Boxed(ImageFiles):
    """Image files with a box around the object in each.

    Args:
        crop_boxes: Cut every image to its box.
    """

    def __init__(self, crop_boxes: bool) -> None:
        self._crop = crop_boxes

    @cached_property
    def items(self) -> ItemTable:
        """The item table; without boxes where the images are cropped to them.

        Raises:
            DataError: If the folder or its annotation is not the dataset's, or damaged, or has no boxes to crop to.
        """
        if not self._crop:
            return self._boxed
        if self._boxed.boxes is None:
            raise DataError(f"{self.id}: crop_boxes = true, but there are no boxes here; add them, or leave it out")
        return replace(self._boxed, boxes=None)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """Decode an image to RGB ``[H, W, 3]``, cropped to its box if so configured.

        Raises:
            DataError: If it is missing or damaged, or its box lies outside it; names the file and the reason.
        """
        image = super().load(index)
        if not self._crop or self._boxed.boxes is None:
            return image
        left, top, right, bottom = np.maximum(self._boxed.boxes[index], 0).tolist()
        cropped = image[top:bottom, left:right]
        if not cropped.size:
            height, width = image.shape[:2]
            name = self._file(self.items.ids[index])
            raise DataError(f"{name}: its box {left, top, right, bottom} holds nothing of its {width}×{height} pixels")
        return np.ascontiguousarray(cropped)

    @cached_property
    def _boxed(self) -> ItemTable:
        return item_table(self._entries())

    def _parts(self) -> list[Part]:
        return [self.id, *table_parts(self._boxed), *(["cropped"] if self._crop else [])]


class BoxedFolder(Boxed, OwnerFolder):
    """Image files in their owner's layout, with a box around the object in each.

    Args:
        path: The folder that the owner's archives unpack into, or the one that holds it; by default where
            ``mlbench datasets prepare`` put it.
        crop_boxes: Cut every image to its box, as some of the literature does. The Reality Check does not.
    """

    def __init__(self, path: str | None = None, crop_boxes: bool = False) -> None:
        Boxed.__init__(self, crop_boxes)
        OwnerFolder.__init__(self, path)
