"""A random affine map per image, for a whole batch at once."""

import torch
from torch import Tensor
from torch.nn import functional

from mlbench.spec.transforms import RandomAffine

#: Random numbers one image's map takes: angle, two shifts, scale, shear.
AFFINE_DRAWS = 5


def random_affine(images: Tensor, affine: RandomAffine, draws: Tensor) -> Tensor:
    """Shear along x, scale, rotate, then shift every image about its centre; bilinear, zeros outside.

    Rotation and shear are uniform in plus or minus their maximum in degrees, the shifts in plus or minus ``translate``
    times the side, the scale in its range: torchvision's ``RandomAffine``.

    Args:
        images: float ``[B, C, S, S]``
        affine: The ranges.
        draws: Uniform in [0, 1). ``[B, AFFINE_DRAWS]`` float64

    Returns:
        ``[B, C, S, S]``
    """
    grid = _sampling_grid(images.shape[-1], *_inverse_maps(affine, draws))
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _inverse_maps(affine: RandomAffine, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix ``[B, 2, 2]`` from output to input, and shift ``[B, 2]``, for x and y in -1..1."""
    centred = 2 * draws - 1
    angle = torch.deg2rad(centred[:, 0] * affine.degrees)
    # The side is 2 long in these coordinates.
    shift = centred[:, 1:3] * (2 * affine.translate)
    scale = affine.scale[0] + (affine.scale[1] - affine.scale[0]) * draws[:, 3]
    slope = torch.tan(torch.deg2rad(centred[:, 4] * affine.shear))
    cos, sin = torch.cos(angle), torch.sin(angle)
    # The forward map is R(angle) [[1, -slope], [0, 1]] scale.
    inverse = torch.stack([cos - slope * sin, sin + slope * cos, -sin, cos], dim=1) / scale[:, None]
    return inverse.reshape(-1, 2, 2).float(), shift.float()


def _sampling_grid(size: int, inverse: Tensor, shift: Tensor) -> Tensor:
    """Where every output pixel is read, ``[B, S, S, (x, y)]``.

    Sums of products element by element, no matrix product: its rounding would depend on the size of the batch.
    """
    centres = (2 * torch.arange(size, dtype=torch.float32) + 1) / size - 1
    output = centres - shift[:, :, None]  # [B, (x, y), S]
    along_x = inverse[:, :, 0, None] * output[:, :1]  # [B, (x, y), S]
    along_y = inverse[:, :, 1, None] * output[:, 1:]
    return (along_x[:, :, None, :] + along_y[:, :, :, None]).permute(0, 2, 3, 1)
