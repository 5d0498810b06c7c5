"""The embedding model: a trunk and one linear layer."""

from typing import Literal, Self

import torch
from torch import Tensor, nn

from mlbench.api import ConfigError


class EmbeddingModel(nn.Module):
    r"""A trunk below one linear layer with bias.

    .. math:: e = W \, \mathrm{trunk}(x) + b

    Embeddings are not normalised: losses do that through their distance, evaluation on its own.

    Batch-norm freezing follows "A Metric Learning Reality Check" (Musgrave et al., ECCV 2020, arXiv:2003.08505):
    every batch norm of the trunk stays in evaluation mode while the rest trains, so its running statistics stand
    still, but its scale and shift (gamma, beta) are trained as any other parameter.

    Args:
        trunk: Maps ``[B, C, H, W]`` to ``[B, trunk.features]``.
        embedding_size: Width E of the embeddings.
        freeze_batchnorm: Keep the trunk's batch norms in evaluation mode. Meant for pretrained trunks: the statistics
            of an untrained one say nothing.
        frozen_trunk: Train the embedder alone. The trunk gets no gradient and stays in evaluation mode, so it is the
            same fixed map of the images throughout.
        precision: ``"bf16"`` computes in bfloat16, by autocast, in training mode; in evaluation mode, and with
            ``"fp32"``, in the parameters' own precision. Embeddings are float32 either way.

    Attributes:
        trunk: The trunk.
        embedder: The linear layer ``features -> E``.
        embedding_size: E.

    Raises:
        ConfigError: If the trunk states no ``features``, or a size is not positive.
    """

    def __init__(
        self,
        trunk: nn.Module,
        embedding_size: int,
        *,
        freeze_batchnorm: bool = False,
        frozen_trunk: bool = False,
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        super().__init__()
        features = getattr(trunk, "features", None)
        if not isinstance(features, int) or features < 1:
            kind = type(trunk).__name__
            raise ConfigError(f"trunk {kind}: `features` must be the width of its output (an int), got {features!r}")
        if embedding_size < 1:
            raise ConfigError(f"embedding_size = {embedding_size}: must be at least 1")
        self.trunk = trunk
        self.embedder = nn.Linear(features, embedding_size)
        self.embedding_size = embedding_size
        self.freeze_batchnorm = freeze_batchnorm
        self.frozen_trunk = frozen_trunk
        self.precision = precision
        if frozen_trunk:
            trunk.requires_grad_(False)
        self.train(self.training)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` images to un-normalised embeddings ``[B, E]``."""
        if not (self.training and self.precision == "bf16"):
            return self._embeddings(images)
        with torch.autocast(images.device.type, torch.bfloat16):
            embeddings = self._embeddings(images)
        return embeddings.float()  # what follows, losses and miners, knows nothing of autocast

    def _embeddings(self, images: Tensor) -> Tensor:
        if not self.frozen_trunk:
            return self.embedder(self.trunk(images))  # type: ignore[no-any-return]
        with torch.no_grad():
            features = self.trunk(images)
        return self.embedder(features)  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> Self:
        """Set training mode everywhere but in a frozen trunk and in frozen batch norms."""
        super().train(mode)
        if self.frozen_trunk:
            self.trunk.eval()
        elif mode and self.freeze_batchnorm:
            for module in self.trunk.modules():
                # By name, as in the Reality Check: the libraries have batch norms of their own (timm's BatchNormAct2d).
                if "BatchNorm" in type(module).__name__:
                    module.eval()
        return self
