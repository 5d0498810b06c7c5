"""The contract of a trunk, the network below the embedder."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

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


@runtime_checkable
class StartsFromWeights(Protocol):
    """A trunk that can start from weights made elsewhere.

    Its constructor's argument ``weights`` is ``"none"``, ``"pretrained"`` or the path of a file. None of them says what
    the weights are: in the identity of a run stands what this method returns. Once trained, the model is built again
    with ``"none"`` and filled from the record.
    """

    @classmethod
    def weights_identity(cls, arguments: Mapping[str, Any]) -> str:
        """What stands for ``weights`` in the identity of a run; ``"none"`` for itself.

        Args:
            arguments: Every argument of the constructor but ``in_channels``, defaults included.

        Raises:
            ConfigError: If there are no such weights.

        Returns:
            The hash of a file's bytes, or the exact name of published weights; the same wherever they lie.
        """
        ...
