"""Where prepared images lie: on disk, or in the memory of a process."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from PIL import features

from mlbench.api.dataset import Dataset
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest
from mlbench.data.cache import cache_folder
from mlbench.data.chunks import Ints, mapped, read_shapes
from mlbench.data.first_resize import RECIPE, decoded
from mlbench.data.shelf import Chunk, Shelf

#: Chunks of a store: a few, because every one that a view maps costs a file descriptor.
_MOST_CHUNKS = 64
#: A chunk has at least so many images.
_FEWEST_IMAGES = 256


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
        told = ["images", str(RECIPE), decoder, f"{kind.__module__}:{kind.__qualname__}", dataset.content_hash]
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
