"""A small convolutional trunk, trained from scratch on a CPU."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from mlbench.api import ComponentInfo, ConfigError


class ConvSmall(nn.Module):
    """Four strided convolutions with batch norm for small images such as 32x32 glyphs.

    Channels double while the sides halve: ``[B, C, 32, 32] -> [B, w, 16, 16] -> [B, 2w, 8, 8] -> [B, 4w, 4, 4] ->
    [B, 8w, 2, 2]``. Other sizes are averaged to the last 2x2 grid, which is kept rather than averaged away: where a
    stroke is tells characters apart. Striding instead of pooling, and the channels-last layout, are what make it
    quick on one core. PyTorch's default initialisation, so that a torch seed decides every weight.

    Args:
        in_channels: Channels of the images, 1 or 3.
        width: Channels w after the first convolution.

    Attributes:
        features: Width of its output, ``32 * width``.

    Raises:
        ConfigError: If an argument is out of range.

    >>> trunk = ConvSmall()
    >>> trunk.features, trunk(torch.zeros(2, 1, 32, 32)).shape
    (512, torch.Size([2, 512]))
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Four strided convolutions with batch norm, for 32x32 images on a CPU",
        tags=("from-scratch", "cpu"),
    )

    def __init__(self, in_channels: int = 1, width: int = 16) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ConfigError(f"in_channels = {in_channels}: must be 1 (grey) or 3 (RGB)")
        if width < 1:
            raise ConfigError(f"width = {width}: must be at least 1")
        self.layers = nn.Sequential(
            _halve(in_channels, width, kernel_size=5),
            _halve(width, 2 * width, kernel_size=3),
            _halve(2 * width, 4 * width, kernel_size=3),
            _halve(4 * width, 8 * width, kernel_size=3),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.features = 8 * width * 2 * 2
        # The weights' layout decides that of every activation, whatever the layout of the images.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Map ``[B, in_channels, H, W]`` float images to ``[B, features]``."""
        features: Tensor = self.layers(images)
        return features


def _halve(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Convolution that halves both sides, batch norm, ReLU."""
    return nn.Sequential(
        # No bias: the batch norm behind it has one.
        nn.Conv2d(in_channels, out_channels, kernel_size, stride=2, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
