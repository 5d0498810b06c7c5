"""Cutting images to the output size: the random resized crop of training, the centre crop of evaluation."""

import math
from collections.abc import Iterator
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from mlbench.data.images import Pixels
from mlbench.spec.transforms import RandomResizedCrop

Bytes: TypeAlias = npt.NDArray[np.uint8]

_TRIES = 10
#: Random numbers one image's crop takes: area and shape of every try, then the place.
CROP_DRAWS = 2 * _TRIES + 2


def cut_boxes(images: Pixels, size: int, boxes: Tensor) -> Iterator[Bytes]:
    """Cut a box out of every image and resize it (bilinear, antialiased): uint8 ``[C, size, size]`` each.

    What is cut are numpy's views: every call into torch, a view's too, lets other threads take the interpreter's lock,
    and to have it back takes as long as a good part of a crop.

    Args:
        images: uint8 ``[B, C, H, W]``, or ``[C, H, W]`` each.
        size: Output height and width.
        boxes: Top, left, height and width of every box. ``[B, 4]`` int64
    """
    for image, (top, left, height, width) in zip(images, boxes.tolist(), strict=True):
        yield _resized(image.numpy()[:, top : top + height, left : left + width], size)


def sizes_of(images: Pixels) -> Tensor:
    """Height and width of every image, ``[B, 2]`` float64."""
    return torch.tensor([image.shape[-2:] for image in images], dtype=torch.float64).reshape(-1, 2)


def crop_boxes(sizes: Tensor, crop: RandomResizedCrop, draws: Tensor) -> Tensor:
    """The random boxes, by torchvision's rule.

    Up to ten times an area (uniform) and an aspect ratio (log-uniform) are drawn; the first box that fits is placed
    uniformly. If none fits: the largest central box whose ratio is in range.

    Args:
        sizes: Height and width of the images. ``[B, 2]`` float64
        crop: The ranges.
        draws: Uniform in [0, 1). ``[B, CROP_DRAWS]`` float64

    Returns:
        Top, left, height, width. ``[B, 4]`` int64
    """
    tries = draws[:, : 2 * _TRIES].reshape(-1, _TRIES, 2)
    area = sizes.prod(dim=1, keepdim=True) * (crop.scale[0] + (crop.scale[1] - crop.scale[0]) * tries[..., 0])
    low, high = math.log(crop.ratio[0]), math.log(crop.ratio[1])
    ratio = torch.exp(low + (high - low) * tries[..., 1])
    shapes = torch.stack([torch.sqrt(area / ratio), torch.sqrt(area * ratio)], dim=2).round()  # [B, tries, (h, w)]
    fits = ((shapes > 0) & (shapes <= sizes[:, None])).all(dim=2)
    first = fits.int().argmax(dim=1)
    shape = shapes[torch.arange(len(shapes)), first]
    place = torch.floor(draws[:, 2 * _TRIES :] * (sizes - shape + 1))
    none_fits = ~fits.any(dim=1, keepdim=True)
    central = _largest_in_range(sizes, crop.ratio)
    shape = torch.where(none_fits, central, shape)
    place = torch.where(none_fits, torch.floor((sizes - central) / 2), place)
    return torch.cat([place, shape], dim=1).long()


def centre_crops(images: Pixels, size: int) -> Iterator[Bytes]:
    """The central square of every image, on zeros where the image is smaller: uint8 ``[C, size, size]`` each."""
    return (centre_crop(image, size).numpy() for image in images)


def centre_crop(image: Tensor, size: int) -> Tensor:
    """The same of one image ``[C, H, W]``, or of a batch of one size ``[B, C, H, W]``."""
    height, width = image.shape[-2:]
    if (height, width) == (size, size):
        return image
    below, beside = max(size - height, 0), max(size - width, 0)
    if below or beside:
        image = functional.pad(image, (beside // 2, beside - beside // 2, below // 2, below - below // 2))
    # Half to even, as torchvision does, so that evaluation sees the same pixels as there.
    top, left = round((image.shape[-2] - size) / 2), round((image.shape[-1] - size) / 2)
    return image[..., top : top + size, left : left + size]


def _largest_in_range(sizes: Tensor, ratio: tuple[float, float]) -> Tensor:
    height, width = sizes[:, 0], sizes[:, 1]
    limits = torch.stack([(width / ratio[0]).round(), (height * ratio[1]).round()], dim=1)
    return torch.minimum(sizes, limits).clamp(min=1)


def _resized(part: Bytes, size: int) -> Bytes:
    if part.shape[-2:] == (size, size):
        return part
    channels, height, width = part.shape
    # Colours together: the same pixels as from any other layout, in half the time.
    room = np.empty((1, height, width, channels), np.uint8)
    np.copyto(room[0], part.transpose(1, 2, 0))
    image = torch.from_numpy(room.transpose(0, 3, 1, 2))
    resized = functional.interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return cast(Bytes, resized.numpy()[0])
