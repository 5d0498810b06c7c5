"""Normalised softmax, CosFace and ArcFace without the matrix of logits."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from ..ops.class_softmax import class_softmax
from .class_head import ClassHead, sample_weights, weighted_mean


class _SoftmaxHead(ClassHead):
    """Cross entropy of `scale * cos(x, W_c)`, in which the cosine with the own class may be changed by a margin."""

    def __init__(self, num_classes: int, embedding_size: int, scale: float, backend: str) -> None:
        super().__init__(num_classes, embedding_size, backend)
        if not scale > 0:
            raise ValueError(f"scale: {scale!r}; expected a positive number")
        self.scale = scale
        self.W = nn.Parameter(torch.empty(embedding_size, num_classes))
        nn.init.normal_(self.W)

    def own(self, cosine: Tensor) -> Tensor:
        """What stands for the cosine `[N]` with the own class."""
        return cosine

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The mean loss of the samples.

        Args:
            embeddings: `[N, D]`.
            labels: `[N]`, the classes.
            indices_tuple: a miner's choice; samples are weighted by how often it names them.
            ref_emb: not supported.
            ref_labels: not supported.

        Raises:
            ValueError: for arguments that do not fit, labels outside the classes included.
        """
        self.check(embeddings, labels, ref_emb, ref_labels)
        rows = normalize(embeddings.to(torch.promote_types(embeddings.dtype, torch.float32)))
        own, others = class_softmax(self.scale * rows, self.W.t(), labels, backend=self.backend)
        # -log softmax of the own class: log(exp(own) + exp(others)) - own
        losses = softplus(others - self.scale * self.own(own / self.scale))
        return weighted_mean(losses, sample_weights(indices_tuple, embeddings))


class NormalizedSoftmaxLoss(_SoftmaxHead):
    """Cross entropy of cosines over a temperature (Zhai and Wu, "Classification is a Strong Baseline", 2019).

    A drop-in for pytorch-metric-learning's loss of this name with its default distance and reducer, state dict
    included, in O(N + C) memory beside the embeddings and the classes.

    Args:
        num_classes: number of classes C.
        embedding_size: dimension D.
        temperature: what the cosines are divided by.
        backend: as for `mlbench_kernels.ops.class_softmax`.

    >>> loss = NormalizedSoftmaxLoss(num_classes=10, embedding_size=4)
    >>> loss(torch.randn(3, 4), torch.tensor([0, 9, 1])).shape
    torch.Size([])
    """

    def __init__(self, num_classes: int, embedding_size: int, temperature: float = 0.05, backend: str = "auto") -> None:
        if not temperature > 0:
            raise ValueError(f"temperature: {temperature!r}; expected a positive number")
        super().__init__(num_classes, embedding_size, 1 / temperature, backend)
        self.temperature = temperature


class CosFaceLoss(_SoftmaxHead):
    """Softmax with the own cosine less a margin (Wang et al., "CosFace", 2018); a drop-in like `NormalizedSoftmaxLoss`.

    Args:
        num_classes: number of classes C.
        embedding_size: dimension D.
        margin: taken off the cosine with the own class.
        scale: what the cosines are multiplied by.
        backend: as for `mlbench_kernels.ops.class_softmax`.
    """

    def __init__(
        self, num_classes: int, embedding_size: int, margin: float = 0.35, scale: float = 64, backend: str = "auto"
    ) -> None:
        super().__init__(num_classes, embedding_size, scale, backend)
        self.margin = margin

    def own(self, cosine: Tensor) -> Tensor:
        """`cos - margin`."""
        return cosine - self.margin


class ArcFaceLoss(_SoftmaxHead):
    """Softmax with a margin on the own angle (Deng et al., "ArcFace", 2019); a drop-in like `NormalizedSoftmaxLoss`.

    Args:
        num_classes: number of classes C.
        embedding_size: dimension D.
        margin: added to the angle between a sample and its class, in degrees.
        scale: what the cosines are multiplied by.
        backend: as for `mlbench_kernels.ops.class_softmax`.
    """

    def __init__(
        self, num_classes: int, embedding_size: int, margin: float = 28.6, scale: float = 64, backend: str = "auto"
    ) -> None:
        super().__init__(num_classes, embedding_size, scale, backend)
        self.margin = margin

    def own(self, cosine: Tensor) -> Tensor:
        """`cos(angle + margin)`; where that would rise with the angle again, `cos(angle) - margin sin(margin)`."""
        margin = math.radians(self.margin)
        limit = 1 - torch.finfo(cosine.dtype).eps  # the derivative of the angle is infinite at 0 and 180 degrees
        angle = torch.acos(cosine.clamp(-limit, limit))
        return torch.where(
            angle <= math.pi - margin, torch.cos(angle + margin), torch.cos(angle) - margin * math.sin(margin)
        )
