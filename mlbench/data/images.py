"""The images of a dataset, decoded once and handed out class by class."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import DataError
from mlbench.data.chunks import Ints
from mlbench.data.damage import Without
from mlbench.data.prepared import prepared, reason
from mlbench.data.shelf import Images, Shelf

#: Images, uint8 ``[C, H, W]`` each, or all of one size ``[N, C, H, W]``. A dataset of vectors: ``[N, D]`` float32.
Pixels = Tensor | Sequence[Tensor]

_SHOWN = 3


class ImageView:
    """The images of some classes, and nothing else: no index leads to another class.

    Its memory holds, or maps, the bytes of these classes alone. Where they are scattered over a large dataset, what is
    mapped spans others too, and only the index keeps them apart (see `mlbench.data.shelf.Shelf.take`).

    Attributes:
        labels: Class of every image, ``0..C-1`` in the order in which the classes were asked for. ``[N]`` int64
        ids: Id of every image in the dataset. ``[N]``
        channels: 1 or 3; of vectors their length.
        superclasses: Superclass of every image, where the dataset has some. ``[N]`` int64
    """

    def __init__(
        self,
        pixels: Images | Tensor,
        labels: Ints,
        ids: tuple[str, ...],
        channels: int,
        superclasses: Ints | None = None,
    ) -> None:
        self._pixels = pixels
        self.labels = labels
        self.ids = ids
        self.channels = channels
        self.superclasses = superclasses

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def vectors(self) -> bool:
        """Whether the items are vectors."""
        return are_vectors(self._pixels)

    def images(self, indices: Sequence[int] | Ints) -> Pixels:
        """The images at ``indices``: uint8 ``[C, H, W]`` each, not copied. Vectors: ``[B, D]`` float32.

        Images of one size that are in memory, not mapped: ``[B, C, H, W]``; not copied if ``indices`` is a range.
        """
        if isinstance(self._pixels, Tensor) and _is_run(indices, len(self)):
            return self._pixels[indices.start : indices.stop]
        wanted = np.asarray(indices, dtype=np.int64)
        if isinstance(self._pixels, Tensor):
            return self._pixels.index_select(0, torch.from_numpy(wanted))
        return [self._pixels[index] for index in wanted]


class ImageStore:
    """All images of a dataset after the deterministic first resize. Made by :meth:`build`."""

    def __init__(self, items: ItemTable, pixels: Shelf | Tensor, places: Ints) -> None:
        self._items = items
        self._pixels = pixels
        self._places = places

    @classmethod
    def build(cls, dataset: Dataset, resize: int | None) -> "ImageStore":
        """Decode every item of ``dataset`` once, or find what was decoded before; see `mlbench.data.prepared`.

        Args:
            dataset: The dataset.
            resize: Length that the shorter side gets (bilinear, antialiased); None leaves the images as they are.
                Vectors are not resized.

        Raises:
            DataError: If items cannot be decoded: one error for all, with their number and the first few reasons. Also
                if there is no room on disk for the prepared images.
        """
        items = dataset.items
        places = np.arange(len(items))
        if (size := dataset.vector_size) is not None:
            vectors = [_checked_vector(dataset.load(index), size, name) for index, name in enumerate(items.ids)]
            return cls(items, torch.from_numpy(np.stack(vectors)), places)
        whole, places = (dataset.whole, dataset.kept) if isinstance(dataset, Without) else (dataset, places)
        shelf = prepared(whole, resize)
        if damaged := np.intersect1d(shelf.damaged, places).tolist():
            reasons = [reason(whole, index, resize) or "" for index in damaged[:_SHOWN]]
            raise DataError(_summary(reasons, len(damaged), len(items)))
        return cls(items, shelf, places)

    def __len__(self) -> int:
        return len(self._items)

    def view(self, classes: Sequence[int], items: Sequence[int] | None = None) -> ImageView:
        """The images of ``classes`` alone; class ``classes[i]`` gets label ``i``.

        Args:
            classes: Class indices.
            items: Item indices: of the classes, only these. None means all.

        Raises:
            DataError: If a class does not exist or is named twice.
        """
        wanted = np.asarray(classes, dtype=np.int64)
        count = len(self._items.class_names)
        outside = wanted[(wanted < 0) | (wanted >= count)]
        if len(outside) or len(np.unique(wanted)) != len(wanted):
            what = f"{outside[0]} is none of them" if len(outside) else "one is named twice"
            raise DataError(f"a view needs distinct classes among 0..{count - 1}: {what}")
        new_label = np.full(count, -1, dtype=np.int64)
        new_label[wanted] = np.arange(len(wanted))
        labels = new_label[self._items.labels]
        indices = np.flatnonzero(labels >= 0)
        if items is not None:
            indices = indices[np.isin(indices, items)]
        ids = tuple(self._items.ids[index] for index in indices)
        above = self._items.superclasses
        superclasses = None if above is None else above[self._items.labels[indices]]
        pixels, channels = self._taken(self._places[indices])
        return ImageView(pixels, labels[indices], ids, channels, superclasses)

    def _taken(self, places: Ints) -> tuple[Images | Tensor, int]:
        if isinstance(self._pixels, Tensor):
            return self._pixels[torch.from_numpy(places)], self._pixels.shape[1]
        return self._pixels.take(places), self._pixels.channels


def are_vectors(items: Pixels) -> bool:
    """Whether these are vectors ``[B, D]``, not images."""
    return isinstance(items, Tensor) and items.ndim == 2


def _is_run(indices: Sequence[int] | Ints, count: int) -> TypeGuard[range]:
    return isinstance(indices, range) and indices.step == 1 and 0 <= indices.start <= indices.stop <= count


def _checked_vector(vector: npt.NDArray[Any], size: int, name: str) -> npt.NDArray[np.float32]:
    if vector.dtype != np.float32 or vector.shape != (size,) or not np.isfinite(vector).all():
        what = f"{vector.dtype} {list(vector.shape)}"
        raise DataError(f"{name}: loaded as {what}, a vector of this dataset is float32 [{size}], all of it finite")
    return vector


def _summary(reasons: Sequence[str], damaged: int, total: int) -> str:
    shown = "\n  ".join(reasons)
    rest = f"\n  and {damaged - _SHOWN} more" if damaged > _SHOWN else ""
    skip = "" if damaged == total else "\nReplace them, or leave them out with --set damaged=skip"
    return f"{damaged} of {total} images cannot be decoded:\n  {shown}{rest}{skip}"
