"""What is prepared, image by image, and where it lies on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, features

from mlbench.api.dataset import Dataset
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest
from mlbench.data.cache import cache_folder
from mlbench.data.chunks import mapped, read_shapes
from mlbench.data.shelf import Chunk, Ints, Shelf

#: Version of how images are decoded and resized; a new one if a pixel can change.
_RECIPE = 1
#: Chunks of a store: a few, because every one that a view maps costs a file descriptor.
_MOST_CHUNKS = 64
#: A chunk has at least so many images.
_FEWEST_IMAGES = 256
_NOTHING = np.zeros((0, 0, 0), np.uint8)


@dataclass(frozen=True)
class Layout:
    """Which images stand in which chunk file, for a dataset and a first resize.

    Attributes:
        folder: Of the chunk files. Its name holds the hash of everything that can change a pixel.
        chunks: File and items of every chunk.
    """

    folder: Path
    chunks: tuple[tuple[Path, Ints], ...]

    @classmethod
    def of(cls, dataset: Dataset, resize: int | None) -> "Layout":
        """The layout of a dataset; the items of a class are neighbours.

        Raises:
            DataError: If there is no home folder and no MLBENCH_CACHE.
        """
        kind = type(dataset)
        decoder = f"{PIL.__version__} {features.version('jpg')} {features.version('zlib')}"
        told = ["images", str(_RECIPE), decoder, f"{kind.__module__}:{kind.__qualname__}", dataset.content_hash]
        key = digest([*told, str(resize)])[:32]
        try:
            folder = cache_folder() / "images" / f"{kind.__name__.lower()}-{resize or 'whole'}-{key}"
        except RuntimeError:
            raise DataError("images: no home folder to prepare them in; set MLBENCH_CACHE to a folder") from None
        order = np.argsort(dataset.items.labels, kind="stable")
        each = max(_FEWEST_IMAGES, -(-len(order) // _MOST_CHUNKS))
        parts = [order[start : start + each] for start in range(0, len(order), each)]
        return cls(folder, tuple((folder / f"{number:03d}.pixels", part) for number, part in enumerate(parts)))

    def missing(self) -> list[tuple[Path, Ints]]:
        """The chunks that are not there."""
        return [(path, items) for path, items in self.chunks if read_shapes(path, len(items)) is None]

    def open(self) -> Shelf:
        """The prepared images.

        Raises:
            DataError: If a chunk has gone.
        """
        chunks = []
        for path, items in self.chunks:
            shapes = read_shapes(path, len(items))
            if shapes is None:
                raise DataError(f"{path}: prepared images have gone; give the command again to prepare them again")
            chunks.append(Chunk(items, shapes, partial(mapped, path), mapped=True))
        return Shelf(chunks)

    def forget(self, items: Sequence[int]) -> None:
        """Remove the chunks that hold any of these items."""
        for path, held in self.chunks:
            if np.isin(held, items).any():
                path.unlink(missing_ok=True)


def in_memory(dataset: Dataset, resize: int | None) -> Shelf:
    """All images of a dataset, decoded into the memory of this process."""
    items = np.arange(len(dataset.items))
    images = list(decoded(dataset, items, resize))
    flat = np.concatenate([image.reshape(-1) for image in images])
    shapes = np.array([image.shape for image in images], np.int64)
    return Shelf([Chunk(items, shapes, lambda start, stop: flat[start:stop].copy(), mapped=False)])


def decoded(dataset: Dataset, items: Ints, resize: int | None) -> Iterator[npt.NDArray[np.uint8]]:
    """The items after the first resize; an empty array for one that cannot be decoded."""
    for index in items.tolist():
        try:
            yield image_of(dataset, index, resize)
        except (DataError, OSError):
            yield _NOTHING


def image_of(dataset: Dataset, index: int, resize: int | None) -> npt.NDArray[np.uint8]:
    """One item after the first resize, ``[H, W, C]``.

    Raises:
        DataError: If it cannot be decoded or is no image.
    """
    image = dataset.load(index)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
        what = f"{image.dtype} {list(image.shape)}"
        raise DataError(f"{dataset.items.ids[index]}: loaded as {what}, an image is uint8 [H, W, 1 or 3]")
    return resized(image, resize)  # type: ignore[arg-type]


def resized(image: npt.NDArray[np.uint8], shorter: int | None) -> npt.NDArray[np.uint8]:
    """Scale an image so that its shorter side is ``shorter``: ``[H, W, C]`` to ``[h, w, C]``.

    Bilinear, antialiased, by Pillow. The longer side is rounded down, as torchvision does.
    """
    height, width, channels = image.shape
    now = min(height, width)
    if shorter is None or now == shorter:
        return image
    size = (width * shorter // now, height * shorter // now)
    pillow = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    small = np.array(pillow.resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)
    return small.reshape(size[1], size[0], channels)
