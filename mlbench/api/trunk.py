"""The contract of a trunk, the network below the embedder."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Trunk(Protocol):
    """A module that turns images, or vectors, into features.

    A component of the group ``mlbench.models`` is an ``nn.Module`` of this shape. A constructor argument named
    ``in_channels`` (1 or 3, or the length of vectors) is filled in by the harness from the dataset. One whose ``info``
    says ``needs={"vectors"}`` maps ``[B, D]`` vectors instead of images.
    """

    #: Width of its output.
    features: int

    def forward(self, images: "Tensor") -> "Tensor":
        """Map ``[B, C, H, W]`` float images to ``[B, features]``."""
        ...
