"""From the store's images to the trunk's input."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlbench.data.affine import AFFINE_DRAWS, random_affine
from mlbench.data.crops import CROP_DRAWS, centre_crop, centre_crops, crop_boxes, cut_boxes, sizes_of
from mlbench.data.images import Pixels, are_vectors
from mlbench.data.normalise import Normalise
from mlbench.spec.transforms import Transforms

#: Numbers of an image up to which images are normalised together: each by itself would take longer to call than to do.
_SMALL = 2**15


class Draws(NamedTuple):
    """What chance decided for the images of a batch; row i belongs to image i.

    Attributes:
        boxes: Top, left, height and width of the random crop. ``[B, 4]`` int64; ``[B, 0]`` where there is none
        affine: Uniform in [0, 1). ``[B, AFFINE_DRAWS]`` float64
        flip: Whether to mirror it. ``[B]`` bool
        invert: Whether to invert it. ``[B]`` bool
    """

    boxes: Tensor
    affine: Tensor
    flip: Tensor
    invert: Tensor

    def part(self, part: slice) -> "Draws":
        """Those of some of the images."""
        return Draws(*(field[part] for field in self))

    @staticmethod
    @lru_cache(maxsize=2)
    def none(count: int) -> "Draws":
        """Of so many images where nothing is left to chance."""
        no, never = torch.empty((count, 0), dtype=torch.int64), torch.zeros(count, dtype=torch.bool)
        return Draws(no, no.double(), never, never)


class TrainTransform:
    """Crop, affine map, flip, inversion and normalisation.

    Every image takes the same number of random numbers, whatever is switched on: switching the flip on does not change
    the crops. Where nothing is, none are drawn. Image i of the batch takes row i, so what becomes of an image depends
    on its pixels, its place in the batch and the generator's state alone: not on the other images, nor on who computes
    it, nor when.

    Args:
        config: The transforms of the benchmark file.
        rank: Which part of every batch it is given, if batches are shared by ranks: ``0..world_size-1``.
        world_size: Number of equal parts of a batch. Random numbers are drawn for all of them.

    """

    def __init__(self, config: Transforms, rank: int = 0, world_size: int = 1) -> None:
        self._rank, self._world_size = rank, world_size
        self._config = config
        self._chance = bool(config.crop or config.affine or config.flip or config.invert)
        self._normalise = Normalise(config)

    def __call__(self, images: Pixels, generator: torch.Generator) -> Tensor:
        """Transform a batch; the generator (CPU) is the only source of randomness.

        Args:
            images: uint8 ``[B, C, H, W]``, or ``[C, H, W]`` each; vectors ``[B, D]`` pass as they are.
            generator: Advanced by as many numbers as the batch has images, times a constant; not at all where
                nothing is left to chance.

        Returns:
            float32 ``[B, output_channels, size, size]``
        """
        if isinstance(images, Tensor) and are_vectors(images):
            return images
        out = torch.empty(self.shape(images))
        self.apply(images, self.draw(images, generator), out)
        return out

    def draw(self, images: Pixels, generator: torch.Generator) -> Draws:
        """All that is random in a batch."""
        if not self._chance:
            return Draws.none(len(images))
        config = self._config
        count, draws = len(images), CROP_DRAWS + AFFINE_DRAWS + 2
        rows = torch.rand(count * self._world_size, draws, generator=generator, dtype=torch.float64).numpy()
        rows = rows[self._rank * count :][:count]
        chosen = (rows[:, CROP_DRAWS:-2], rows[:, -2] < config.flip, rows[:, -1] < config.invert)
        cropping = torch.from_numpy(rows[:, : CROP_DRAWS if config.crop else 0])
        boxes = crop_boxes(sizes_of(images), config.crop, cropping) if config.crop else cropping
        return Draws(boxes, *map(torch.from_numpy, chosen))

    def shape(self, images: Pixels) -> tuple[int, ...]:
        """Of a transformed batch: ``[B, output_channels, size, size]``."""
        return _shape(self._config, images)

    def apply(self, images: Pixels, draws: Draws, out: Tensor) -> None:
        """Transform images of a batch into ``out``; a part of a batch gives that part of the whole, bit for bit."""
        config = self._config
        if config.crop is None and config.affine is None and isinstance(images, Tensor):
            pixels = centre_crop(images, config.size).numpy()
            self._together(pixels.copy() if config.flip or config.invert else pixels, draws, out.numpy())
            return
        cut = cut_boxes(images, config.size, draws.boxes) if config.crop else centre_crops(images, config.size)
        if config.affine is None and out[0].numel() > _SMALL:
            chance = zip(draws.flip.tolist(), draws.invert.tolist(), strict=True)
            for pixels, room, (flip, invert) in zip(cut, out.numpy(), chance, strict=True):
                self._normalise(pixels, room, flip=flip, invert=invert)
            return
        whole = np.empty((len(images), len(images[0]), config.size, config.size), np.uint8)
        np.stack(list(cut), out=whole)
        if config.affine is not None:
            whole = random_affine(torch.from_numpy(whole).float(), config.affine, draws.affine).numpy()
        self._together(whole, draws, out.numpy())

    def _together(self, pixels: npt.NDArray[Any], draws: Draws, out: npt.NDArray[np.float32]) -> None:
        """Mirror and invert images ``[B, C, S, S]`` in their place, and normalise them."""
        if self._config.flip and (flip := draws.flip.numpy()).any():
            pixels[flip] = pixels[flip, ..., ::-1]
        if self._config.invert and (invert := draws.invert.numpy()).any():
            pixels[invert] = 255 - pixels[invert]
        self._normalise(pixels, out)


class EvalTransform:
    """Centre crop and normalisation: nothing random.

    Args:
        config: The transforms of the benchmark file.

    """

    def __init__(self, config: Transforms) -> None:
        self._config = config
        self._normalise = Normalise(config)

    def __call__(self, images: Pixels) -> Tensor:
        """Transform a batch.

        Args:
            images: uint8 ``[B, C, H, W]``, or ``[C, H, W]`` each; vectors ``[B, D]`` pass as they are.

        Returns:
            float32 ``[B, output_channels, size, size]``
        """
        if isinstance(images, Tensor) and are_vectors(images):
            return images
        out = torch.empty(self.shape(images))
        self.apply(images, out)
        return out

    def shape(self, images: Pixels) -> tuple[int, ...]:
        """Of a transformed batch: ``[B, output_channels, size, size]``."""
        return _shape(self._config, images)

    def apply(self, images: Pixels, out: Tensor) -> None:
        """Transform images into ``out``."""
        if isinstance(images, Tensor):
            self._normalise(centre_crop(images, self._config.size).numpy(), out.numpy())
            return
        for pixels, room in zip(centre_crops(images, self._config.size), out.numpy(), strict=True):
            self._normalise(pixels, room)


def _shape(config: Transforms, images: Pixels) -> tuple[int, ...]:
    channels = images.shape[1] if isinstance(images, Tensor) else len(images[0])
    return len(images), output_channels(config, channels), config.size, config.size


def output_channels(config: Transforms, channels: int) -> int:
    """Channels of the trunk's input for images of ``channels``: three mean or std values make a grey image RGB.

    >>> output_channels(Transforms(mean=(0.5,), std=(0.25,)), 1)
    1
    """
    return max(channels, len(config.mean), len(config.std))
