"""Crops that are cut on the device where the images lie, with the pixels of those that the processor cuts, bit for bit.

The processor resizes bytes with whole numbers: weights are rounded to 16 bits, sums are whole, and what a pass gives is
rounded to bytes again. Sums of whole numbers do not depend on their order, so that a device gives the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlbench.api.errors import DataError
from mlbench.data.chunks import Ints

#: Weights must stay below it.
_MOST = 2**15


class DeviceImages:
    """Images of any sizes one after another in the memory of a device.

    Args:
        images: uint8 ``[C, H, W]`` each, with equal ``C``.
        device: Where they go.

    Raises:
        DataError: If they do not fit there.
    """

    def __init__(self, images: Sequence[Tensor], device: str) -> None:
        shapes = np.array([image.shape for image in images], np.int64)
        ends = np.cumsum(shapes.prod(axis=1))
        self._channels, self._widths, self._starts = int(shapes[0, 0]), shapes[:, 2], ends - shapes.prod(axis=1)
        try:
            self._bytes = torch.empty(int(ends[-1]), dtype=torch.uint8, device=device)
        except RuntimeError as error:
            raise DataError(
                f'runtime.images = "device": the {len(images):,} images of a training need {ends[-1] / 1e9:,.2f} GB of '
                f'{device}, which has no such room; "mapped" leaves them in files'
            ) from error
        for image, start, end in zip(images, self._starts, ends, strict=True):
            self._bytes[start:end] = image.permute(1, 2, 0).reshape(-1)

    def cut(self, indices: Ints, boxes: Tensor, size: int) -> Tensor:
        """What `mlbench.data.crops.cut_boxes` gives: int32 ``[B, size, size, C]`` on the device.

        As there, the rows of a box are resized to the width first, then the columns to the height.

        Args:
            indices: Which images. ``[B]``
            boxes: Top, left, height and width of every box. ``[B, 4]`` int64
            size: Output height and width.
        """
        top, left, height, width = boxes.numpy().T
        rows = top[:, None] + np.minimum(np.arange(height.max()), height[:, None] - 1)
        pixels = rows * self._widths[indices, None] + left[:, None]
        firsts = self._sent(self._starts[indices, None] + pixels * self._channels)[:, :, None, None]
        colours = self._sent(np.arange(self._channels))
        across, down = _Taps.of(width, size), _Taps.of(height, size)

        total = self._half(across)
        for places, weights in zip(across.places, across.weights, strict=True):
            at = firsts + self._sent(places * self._channels)[:, None, :, None] + colours  # [B, rows, size, C]
            total = total + self._bytes[at].int() * self._sent(weights)[:, None, :, None]
        narrow = self._rounded(total, across)

        images = torch.arange(len(indices), device=self._bytes.device)[:, None]
        total = self._half(down)
        for places, weights in zip(down.places, down.weights, strict=True):
            total = total + narrow[images, self._sent(places)] * self._sent(weights)[:, :, None, None]
        return self._rounded(total, down)

    def _sent(self, values: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(values).to(self._bytes.device)

    def _half(self, taps: "_Taps") -> Tensor:
        return self._sent(1 << (taps.bits - 1))[:, None, None, None]

    def _rounded(self, total: Tensor, taps: "_Taps") -> Tensor:
        return (total >> self._sent(taps.bits)[:, None, None, None]).clamp(0, 255)


class _Taps(NamedTuple):
    """What every output pixel of a line is made of, for lines of several lengths.

    Attributes:
        places: Input pixels. ``[K, B, size]`` int64
        weights: How much each counts. ``[K, B, size]`` int32
        bits: A line's weights sum to about 2 to this. ``[B]`` int32
    """

    places: Ints
    weights: npt.NDArray[np.int32]
    bits: npt.NDArray[np.int32]

    @classmethod
    def of(cls, lengths: Ints, size: int) -> "_Taps":
        """Those of PyTorch's antialiased bilinear resize of bytes, in float64 until they are rounded."""
        scale = (lengths / size)[:, None]  # [B, 1]
        reach = np.maximum(scale, 1.0)
        centre = scale * (np.arange(size) + 0.5)  # [B, size]
        first = np.maximum(np.trunc(centre - reach + 0.5), 0).astype(np.int64)
        stop = np.minimum(np.trunc(centre + reach + 0.5).astype(np.int64), lengths[:, None])
        places = first + np.arange((stop - first).max())[:, None, None]  # [K, B, size]
        distance = np.abs((places - centre + 0.5) * (1.0 / reach))
        shares = np.where(places < stop, np.maximum(1.0 - distance, 0.0), 0.0)
        shares = shares / _in_order(shares)
        largest = shares.max(axis=(0, 2))
        bits = np.sum([(0.5 + largest * 2.0 ** (bit + 1)).astype(np.int64) < _MOST for bit in range(22)], axis=0)
        weights = (0.5 + shares * 2.0 ** bits[:, None]).astype(np.int32)
        return cls(np.minimum(places, lengths[:, None] - 1), weights, bits.astype(np.int32))


def _in_order(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sum over the first axis, from the first to the last."""
    total: npt.NDArray[np.float64] = shares[0]
    for share in shares[1:]:
        total = total + share
    return total
