"""Where the prepared images of a dataset stand, and how some of them are taken out without the others."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlbench.data.chunks import Ints

#: Runs of neighbours that are mapped one by one in a chunk. Each costs a file descriptor.
_MOST_RUNS = 16


@dataclass(frozen=True)
class Chunk:
    """Some images one after another in one buffer.

    Attributes:
        items: Indices of the images in the dataset, in the order in which they stand. ``[n]``
        shapes: Height, width and channels; all 0 for an image that cannot be decoded. ``[n, 3]``
        read: The bytes from a start to a stop, in memory that holds nothing else.
        mapped: Whether ``read`` maps a file.
    """

    items: Ints
    shapes: Ints
    read: Callable[[int, int], npt.NDArray[np.uint8]]
    mapped: bool

    @cached_property
    def ends(self) -> Ints:
        """Where the bytes of every image end, ``[n]``."""
        return np.cumsum(self.shapes.prod(axis=1))


class Images(Sequence[Tensor]):
    """Images that stand in a few buffers, which hold nothing else: uint8 ``[C, H, W]`` each, not copied.

    Args:
        buffers: Flat uint8.
        places: Number of its buffer, first byte in it, height, width and channels of every image. ``[N, 5]``
        channels: Of every image that is handed out; grey is repeated.
    """

    def __init__(self, buffers: list[Tensor], places: Ints, channels: int) -> None:
        self._buffers = buffers
        self._places = places
        self._channels = channels

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        buffer, start, height, width, channels = self._places[index].tolist()
        strides = (0 if channels < self._channels else 1, width * channels, channels)
        return torch.as_strided(self._buffers[buffer], (self._channels, height, width), strides, start)


class Shelf:
    """All prepared images of a dataset, class after class."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._chunks = chunks
        items = np.concatenate([chunk.items for chunk in chunks])
        owner = np.concatenate([np.full(len(chunk.items), number) for number, chunk in enumerate(chunks)])
        place = np.concatenate([np.arange(len(chunk.items)) for chunk in chunks])
        back = np.argsort(items)
        self._owner, self._place = owner[back], place[back]
        shapes = np.concatenate([chunk.shapes for chunk in chunks])
        #: Channels of a dataset that mixes grey and colour are those of colour.
        self.channels = int(shapes[:, 2].max())
        #: Indices of the items that cannot be decoded.
        self.damaged: list[int] = np.sort(items[shapes[:, 0] == 0]).tolist()

    def take(self, items: Ints) -> Images | Tensor:
        """The images of these items of the dataset, in their order, and a way to no others.

        Neighbours share a buffer. Of a mapped chunk with more than 16 runs of neighbours, one buffer spans all; then
        it is the index alone that leads to no other image. Images of one size that are in memory become one tensor,
        ``[N, C, H, W]``: a batch of them is taken and normalised as a whole, many times as fast if they are small.
        """
        buffers: list[Tensor] = []
        places = np.zeros((len(items), 5), np.int64)
        owner, place = self._owner[items], self._place[items]
        for number in np.unique(owner):
            chunk, where = self._chunks[number], np.flatnonzero(owner == number)
            where = where[np.argsort(place[where], kind="stable")]
            for run in _runs(place[where], _MOST_RUNS if chunk.mapped else len(items)):
                here = where[run]
                rows = place[here]
                sizes = chunk.shapes[rows].prod(axis=1)
                starts, first, last = chunk.ends[rows] - sizes, rows[0], rows[-1]
                start = int(chunk.ends[first] - sizes[0])
                places[here] = np.column_stack([np.full(len(rows), len(buffers)), starts - start, chunk.shapes[rows]])
                buffers.append(torch.from_numpy(chunk.read(start, int(chunk.ends[last]))))
        images = Images(buffers, places, self.channels)
        if any(chunk.mapped for chunk in self._chunks) or len(np.unique(places[:, 2:], axis=0)) != 1:
            return images
        return torch.stack(list(images))


def _runs(places: Ints, most: int) -> Iterator[slice]:
    """Where ascending places follow one upon another; one run of all if there would be more than ``most``."""
    cuts = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
    cuts = cuts if len(cuts) - 1 <= most else [0, len(places)]
    yield from (slice(start, stop) for start, stop in pairwise(cuts))
