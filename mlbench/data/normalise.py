"""From an image's bytes to the trunk's input."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from mlbench.spec.transforms import Transforms


class Normalise:
    """``(pixels / 255 - mean) / std`` of an image, or of small ones together; ``bgr-255``: as BGR, 0..255 stays.

    By numpy, whose loops take any strides, backwards too: the layout, the order of the channels and the mirror cost no
    pass of their own. An image's bytes and floats stay in the processor's cache in between.

    Args:
        config: The transforms of the benchmark file.
    """

    def __init__(self, config: Transforms) -> None:
        self._bgr_255 = config.pixels == "bgr-255"
        self._mean = np.array(config.mean, np.float32)[:, None, None]
        std = np.array(config.std, np.float32)[:, None, None]
        self._std = None if (std == 1).all() else std
        self._scratch = threading.local()

    def __call__(
        self, pixels: npt.NDArray[Any], out: npt.NDArray[np.float32], *, flip: bool = False, invert: bool = False
    ) -> None:
        """Normalise images, inverted and mirrored before if that is asked for.

        Args:
            pixels: 0 to 255, ``[C, H, W]`` or ``[B, C, H, W]``: uint8, read fastest if its colours lie together, or
                float32, which is overwritten.
            out: Contiguous; three channels may come of one. ``[output_channels, H, W]`` or a batch of them
            flip: Whether left and right change places.
            invert: Whether values become 255 less them.
        """
        if pixels.dtype == np.float32:
            values = pixels
        elif pixels.flags.c_contiguous and pixels.shape == out.shape and not flip and not self._bgr_255:
            np.copyto(out, pixels)  # nothing changes its place: no memory but the output's is needed
            values = out
        else:
            values = self._floats(pixels)
        if invert:
            np.subtract(255, values, out=values)
        if self._bgr_255:
            values = values[..., ::-1, :, :]
        else:
            np.divide(values, 255, out=values)
        if flip:
            values = values[..., ::-1]
        np.subtract(values, self._mean, out=out)
        if self._std is not None:
            np.divide(out, self._std, out=out)

    def _floats(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """A copy with its colours together, in memory that every thread has once: fresh memory costs a pass more."""
        *batch, channels, height, width = pixels.shape
        shape = (*batch, height, width, channels)
        room: npt.NDArray[np.float32] | None = getattr(self._scratch, "room", None)
        if room is None or room.shape != shape:
            room = self._scratch.room = np.empty(shape, np.float32)
        values = np.moveaxis(room, -1, -3)
        np.copyto(values, pixels)
        return values
