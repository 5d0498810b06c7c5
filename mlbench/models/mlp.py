"""Heads on precomputed embeddings."""

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from mlbench.api import ComponentInfo, ConfigError


class Mlp(nn.Module):
    """Fully connected hidden layers with ReLU, for datasets of vectors.

    Without hidden layers the vectors pass as they are: the model is then the linear embedder alone.

    Args:
        in_channels: Length D of the vectors.
        hidden: Width of every hidden layer.

    Attributes:
        features: Width of its output: the last hidden layer's, or D.

    Raises:
        ConfigError: If a width is below 1.

    >>> Mlp(in_channels=16).features, Mlp(in_channels=16, hidden=(64, 32)).features
    (16, 32)
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="For vectors: a linear head (no hidden layers) or a small MLP",
        tags=("vectors", "from-scratch", "cpu"),
        needs=frozenset({"vectors"}),
    )

    def __init__(self, in_channels: int, hidden: tuple[int, ...] = ()) -> None:
        super().__init__()
        widths = (in_channels, *hidden)
        if min(widths) < 1:
            raise ConfigError(f"in_channels = {in_channels}, hidden = {list(hidden)}: every width must be at least 1")
        layers = [(nn.Linear(before, after), nn.ReLU()) for before, after in pairwise(widths)]
        self.layers = nn.Sequential(*(module for layer in layers for module in layer))
        self.features = widths[-1]

    def forward(self, vectors: Tensor) -> Tensor:
        """Map ``[B, D]`` vectors to ``[B, features]``."""
        features: Tensor = self.layers(vectors)
        return features
