"""From an image's bytes to the trunk's input."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from mlbench.spec.transforms import Transforms


class Normalise:
    """``(pixels / 255 - mean) / std`` of an image, or of small ones together; ``bgr-255``: as BGR, 0..255 stays.

    By numpy, whose copies take any strides, backwards too. Layout, order of the channels and mirror are settled on the
    bytes, a quarter of the floats; an image stays in the processor's cache in between.

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
            pixels: 0 to 255, ``[C, H, W]`` or ``[B, C, H, W]``: uint8 or float32.
            out: Contiguous; three channels may come of one. ``[output_channels, H, W]`` or a batch of them
            flip: Whether left and right change places.
            invert: Whether values become 255 less them.
        """
        if self._bgr_255:
            pixels = pixels[..., ::-1, :, :]
        if flip:
            pixels = pixels[..., ::-1]
        np.copyto(out, self._in_order(pixels) if pixels.dtype == np.uint8 else pixels)
        if invert:
            np.subtract(255, out, out=out)
        if not self._bgr_255:
            np.divide(out, 255, out=out)
        np.subtract(out, self._mean, out=out)
        if self._std is not None:
            np.divide(out, self._std, out=out)

    def _in_order(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The same in C order, in memory that every thread has once: fresh memory costs a pass more."""
        if pixels.flags.c_contiguous:
            return pixels
        room: npt.NDArray[np.uint8] | None = getattr(self._scratch, "room", None)
        if room is None or room.shape != pixels.shape:
            room = self._scratch.room = np.empty(pixels.shape, np.uint8)
        np.copyto(room, pixels)
        return room
