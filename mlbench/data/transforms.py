"""From the store's images to the trunk's input."""

import torch
from torch import Tensor

from mlbench.data.affine import AFFINE_DRAWS, random_affine
from mlbench.data.crops import CROP_DRAWS, centre_crop, random_resized_crop
from mlbench.data.images import Pixels, are_vectors
from mlbench.spec.transforms import Transforms


class TrainTransform:
    """Crop, affine map, flip, inversion and normalisation, all of a batch at once.

    Every image takes the same number of random numbers, whatever is switched on: switching the flip on does not change
    the crops. Image i of the batch takes row i, so what becomes of an image depends on its pixels, its place in the
    batch and the generator's state alone: not on the other images, nor on workers.

    Args:
        config: The transforms of the benchmark file.
        rank: Which part of every batch it is given, if batches are shared by ranks: ``0..world_size-1``.
        world_size: Number of equal parts of a batch. Random numbers are drawn for all of them.

    """

    def __init__(self, config: Transforms, rank: int = 0, world_size: int = 1) -> None:
        self._rank, self._world_size = rank, world_size
        self._config = config
        self._normalise = _Normalise(config)

    def __call__(self, images: Pixels, generator: torch.Generator) -> Tensor:
        """Transform a batch; the generator (CPU) is the only source of randomness.

        Args:
            images: uint8 ``[B, C, H, W]``, or ``[C, H, W]`` each; vectors ``[B, D]`` pass as they are.
            generator: Advanced by as many numbers as the batch has images, times a constant.

        Returns:
            float32 ``[B, output_channels, size, size]``
        """
        if isinstance(images, Tensor) and are_vectors(images):
            return images
        config = self._config
        rows = torch.rand(
            len(images) * self._world_size, CROP_DRAWS + AFFINE_DRAWS + 2, generator=generator, dtype=torch.float64
        )[self._rank * len(images) :][: len(images)]
        cropping, mapping = rows[:, :CROP_DRAWS], rows[:, CROP_DRAWS:-2]
        flipping, inverting = rows[:, -2, None, None, None], rows[:, -1, None, None, None]
        if config.crop is None:
            pixels = centre_crop(images, config.size)
        else:
            pixels = random_resized_crop(images, config.size, config.crop, cropping)
        if config.affine is not None:
            pixels = random_affine(pixels.float(), config.affine, mapping)
        if config.flip:
            pixels = torch.where(flipping < config.flip, pixels.flip(-1), pixels)
        if config.invert:
            pixels = torch.where(inverting < config.invert, 255 - pixels, pixels)
        return self._normalise(pixels)


class EvalTransform:
    """Centre crop and normalisation: nothing random.

    Args:
        config: The transforms of the benchmark file.

    """

    def __init__(self, config: Transforms) -> None:
        self._size = config.size
        self._normalise = _Normalise(config)

    def __call__(self, images: Pixels) -> Tensor:
        """Transform a batch.

        Args:
            images: uint8 ``[B, C, H, W]``, or ``[C, H, W]`` each; vectors ``[B, D]`` pass as they are.

        Returns:
            float32 ``[B, output_channels, size, size]``
        """
        if isinstance(images, Tensor) and are_vectors(images):
            return images
        return self._normalise(centre_crop(images, self._size))


def output_channels(config: Transforms, channels: int) -> int:
    """Channels of the trunk's input for images of ``channels``: three mean or std values make a grey image RGB.

    >>> output_channels(Transforms(mean=(0.5,), std=(0.25,)), 1)
    1
    """
    return max(channels, len(config.mean), len(config.std))


class _Normalise:
    """``(pixels / 255 - mean) / std``; for ``bgr-255`` RGB turns into BGR and 0..255 stays."""

    def __init__(self, config: Transforms) -> None:
        values = output_channels(config, 1)
        self._bgr_255 = config.pixels == "bgr-255"
        self._mean = torch.tensor(config.mean)[:, None, None].expand(values, 1, 1)
        self._std = torch.tensor(config.std)[:, None, None].expand(values, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        pixels = pixels.flip(1).float() if self._bgr_255 else pixels / 255
        # Three values turn one channel into three by broadcasting.
        return (pixels - self._mean).div_(self._std)
