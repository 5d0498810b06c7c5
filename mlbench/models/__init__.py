"""Trunks and the linear embedder above them."""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

if TYPE_CHECKING:
    from mlbench.models.bn_inception import BNInception as BNInception
    from mlbench.models.conv import ConvSmall as ConvSmall
    from mlbench.models.efficientnet_lite import EfficientNetLite0 as EfficientNetLite0
    from mlbench.models.embedder import EmbeddingModel as EmbeddingModel
    from mlbench.models.mlp import Mlp as Mlp
    from mlbench.models.timm_trunk import TimmTrunk as TimmTrunk
    from mlbench.models.torchvision_trunk import TorchvisionTrunk as TorchvisionTrunk

# Naming one trunk must not import the libraries of the others: timm alone costs a second.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "bn_inception": ("BNInception",),
        "conv": ("ConvSmall",),
        "efficientnet_lite": ("EfficientNetLite0",),
        "embedder": ("EmbeddingModel",),
        "mlp": ("Mlp",),
        "timm_trunk": ("TimmTrunk",),
        "torchvision_trunk": ("TorchvisionTrunk",),
    },
)
