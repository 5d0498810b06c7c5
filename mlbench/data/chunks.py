"""Prepared images on disk: a chunk file holds images ``[H, W, C]`` one after another and, last, their shapes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlbench.data.cache import whole_file

#: Indices, places, shapes.
Ints = npt.NDArray[np.int64]

_SHAPE = np.dtype("<i4")


def write_chunk(path: Path, images: Iterable[npt.NDArray[np.uint8]]) -> None:
    """Write a chunk: it is there completely or not at all, also after a crash; the last of several writers stays.

    Args:
        path: The file.
        images: uint8 ``[H, W, C]``; an empty one stands for an image that cannot be decoded.

    Raises:
        OSError: If the disk is full or cannot be written.
    """
    shapes: list[tuple[int, ...]] = []
    with whole_file(path) as file:
        for image in images:
            file.write(image.tobytes())
            shapes.append(image.shape)
        file.write(np.array(shapes, _SHAPE).tobytes())


def read_shapes(path: Path, count: int) -> npt.NDArray[np.int64] | None:
    """Height, width and channels of the ``count`` images of a chunk, ``[count, 3]``; None if it is no whole chunk."""
    table = count * 3 * _SHAPE.itemsize
    try:
        pixels = path.stat().st_size - table
        if pixels < 0:
            return None
        shapes = np.fromfile(path, _SHAPE, offset=pixels).astype(np.int64).reshape(count, 3)
    except OSError:
        return None
    return shapes if (shapes >= 0).all() and shapes.prod(axis=1).sum() == pixels else None


def mapped(path: Path, start: int, stop: int) -> npt.NDArray[np.uint8]:
    """These bytes of a file, and no others, from the page cache that all processes share.

    Copy on write: whatever is done to the array, the file stays as it is.
    """
    return np.memmap(path, np.uint8, mode="c", offset=start, shape=(stop - start,))
