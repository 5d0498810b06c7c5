"""The prepared images of a dataset: decoded once, handed out class by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import DataError

#: All images as one array when they are of equal size ``[N, C, H, W]``, else one per image ``[C, H, W]``; uint8.
#: A dataset of vectors: ``[N, D]`` float32.
Pixels = Tensor | list[Tensor]

_SHOWN = 3


class ImageView:
    """The images of some classes, and nothing else: no other class can be reached through it.

    Attributes:
        labels: Class of every image, ``0..C-1`` in the order in which the classes were asked for. ``[N]`` int64
        ids: Id of every image in the dataset. ``[N]``
        channels: 1 or 3; of vectors their length.
        superclasses: Superclass of every image, where the dataset has some. ``[N]`` int64
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: npt.NDArray[np.int64],
        ids: tuple[str, ...],
        channels: int,
        superclasses: npt.NDArray[np.int64] | None = None,
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

    def images(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Pixels:
        """The images at ``indices``, uint8: ``[B, C, H, W]`` if all are of one size, else ``[C, H, W]`` each.

        Vectors: ``[B, D]`` float32.
        """
        return _select(self._pixels, np.asarray(indices, dtype=np.int64))


class ImageStore:
    """All images of a dataset after the deterministic first resize, in memory. Made by :meth:`build`."""

    def __init__(self, pixels: Pixels, items: ItemTable, channels: int) -> None:
        self._pixels = pixels
        self._items = items
        self._channels = channels

    @classmethod
    def build(cls, dataset: Dataset, resize: int | None) -> "ImageStore":
        """Decode every item of ``dataset`` once.

        Args:
            dataset: The dataset.
            resize: Length that the shorter side gets (bilinear, antialiased); None leaves the images as they are.
                Vectors are not resized.

        Raises:
            DataError: If items cannot be decoded: one error for all, with their number and the first few reasons.
        """
        items = dataset.items
        if (size := dataset.vector_size) is not None:
            vectors = [_checked_vector(dataset.load(index), size, name) for index, name in enumerate(items.ids)]
            return cls(torch.from_numpy(np.stack(vectors)), items, size)
        images: list[npt.NDArray[np.uint8]] = []
        failures: list[str] = []
        for index, name in enumerate(items.ids):
            try:
                images.append(resized(_checked(dataset.load(index), name), resize))
            except (DataError, OSError) as error:
                failures.append(str(error) or f"{name}: {type(error).__name__}")
        if failures:
            raise DataError(_summary(failures, len(items)))
        channels = max(image.shape[2] for image in images)
        # A dataset that mixes grey and colour is a colour dataset.
        tensors = [_tensor(image).expand(channels, -1, -1) for image in images]
        same_size = len({tensor.shape for tensor in tensors}) == 1
        return cls(torch.stack(tensors) if same_size else tensors, items, channels)

    def __len__(self) -> int:
        return len(self._items)

    def view(self, classes: Sequence[int]) -> ImageView:
        """The images of ``classes`` alone, copied out of the store; class ``classes[i]`` gets label ``i``.

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
        ids = tuple(self._items.ids[index] for index in indices)
        above = self._items.superclasses
        superclasses = None if above is None else above[self._items.labels[indices]]
        return ImageView(_select(self._pixels, indices), labels[indices], ids, self._channels, superclasses)


def resized(image: npt.NDArray[np.uint8], shorter: int | None) -> npt.NDArray[np.uint8]:
    """Scale an image so that its shorter side is ``shorter``: ``[H, W, C]`` to ``[h, w, C]``.

    The longer side is rounded down, as torchvision does.
    """
    height, width, channels = image.shape
    now = min(height, width)
    if shorter is None or now == shorter:
        return image
    size = (width * shorter // now, height * shorter // now)
    pillow = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    small = np.array(pillow.resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)
    return small.reshape(size[1], size[0], channels)


def are_vectors(items: Pixels) -> bool:
    """Whether these are vectors ``[B, D]``, not images."""
    return isinstance(items, Tensor) and items.ndim == 2


def _checked_vector(vector: npt.NDArray[Any], size: int, name: str) -> npt.NDArray[np.float32]:
    if vector.dtype != np.float32 or vector.shape != (size,) or not np.isfinite(vector).all():
        what = f"{vector.dtype} {list(vector.shape)}"
        raise DataError(f"{name}: loaded as {what}, a vector of this dataset is float32 [{size}], all of it finite")
    return vector


def _checked(image: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
        raise DataError(f"{name}: loaded as {image.dtype} {list(image.shape)}, an image is uint8 [H, W, 1 or 3]")
    return image


def _tensor(image: npt.NDArray[np.uint8]) -> Tensor:
    # A copy: what the dataset returned may be a view of an array that holds every other class as well.
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


def _select(pixels: Pixels, indices: npt.NDArray[np.int64]) -> Pixels:
    if isinstance(pixels, Tensor):
        return pixels[torch.from_numpy(indices)]
    return [pixels[index] for index in indices]


def _summary(failures: list[str], total: int) -> str:
    shown = "\n  ".join(failures[:_SHOWN])
    rest = f"\n  and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    return f"{len(failures)} of {total} images cannot be decoded:\n  {shown}{rest}"
