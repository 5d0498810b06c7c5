"""What the trunks of timm and torchvision share."""

from collections.abc import Collection
from difflib import get_close_matches

from torch import Tensor, nn

from mlbench.api import ConfigError, UnknownNameError


class LibraryTrunk(nn.Module):
    """A library's classification model without its classifier.

    These models are defined, and their public weights trained, for RGB. Grey images are shown to them as RGB with
    three equal channels, which is the same function as summing the first layer's weights over its input channels,
    and leaves every weight file fitting.

    Args:
        body: The model without its classifier, ``[B, 3, H, W] -> [B, features]``.
        features: Width of its output.
        in_channels: 3, or 1 for grey images.

    Raises:
        ConfigError: If ``in_channels`` is neither.
    """

    def __init__(self, body: nn.Module, features: int, in_channels: int) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ConfigError(f"in_channels = {in_channels}: must be 1 (grey) or 3 (RGB)")
        self.body = body
        self.features = features
        self.in_channels = in_channels

    def forward(self, images: Tensor) -> Tensor:
        """Map ``[B, in_channels, H, W]`` images to ``[B, features]``."""
        if self.in_channels == 1:
            images = images.expand(-1, 3, -1, -1)
        features: Tensor = self.body(images)
        return features


def unknown_model(library: str, name: str, known: Collection[str], listing: str) -> UnknownNameError:
    """The error for a ``name`` that is not among ``known``; ``listing`` is Python that prints them all."""
    near = get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return UnknownNameError(f"{library} has no classification model {name!r}: {hint}`{listing}` lists all")


def no_download(library: str, name: str, error: Exception) -> ConfigError:
    """The error for pretrained weights that the library failed to bring."""
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    return ConfigError(
        f"{library} model {name!r}: its pretrained weights could not be fetched ({type(error).__name__}: {reason}); "
        "without a network, pass the path of a .pth, .pt or .safetensors file as weights"
    )
