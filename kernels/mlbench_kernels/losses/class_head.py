"""What losses with one learnt vector per class share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checks import check_choice, check_labels, check_matrix, check_whole
from ..ops.class_softmax.operator import BACKENDS


class ClassHead(nn.Module):
    """Base of the heads: sizes, checks and the weights that a miner's choice gives to samples.

    Args:
        num_classes: number of classes C; labels are 0 to C - 1.
        embedding_size: dimension D of the embeddings.
        backend: as for `mlbench_kernels.ops.class_softmax`.
    """

    def __init__(self, num_classes: int, embedding_size: int, backend: str = "auto") -> None:
        super().__init__()
        self.num_classes = check_whole("num_classes", num_classes, 1)
        self.embedding_size = check_whole("embedding_size", embedding_size, 1)
        check_choice("backend", backend, ("auto", *BACKENDS))
        self.backend = backend

    def check(self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None, ref_labels: Tensor | None) -> None:
        """Raise `ValueError` unless the arguments of `forward` fit."""
        name = type(self).__name__
        if ref_emb is not None or ref_labels is not None:
            raise ValueError(f"ref_emb: {name} compares with its classes and takes no references; leave it out")
        check_matrix("embeddings", embeddings)
        check_labels("labels", labels, "embeddings", embeddings)
        if embeddings.shape[1] != self.embedding_size:
            raise ValueError(f"embeddings: dimension {embeddings.shape[1]}; {name} has {self.embedding_size}")


def sample_weights(indices: tuple[Tensor, ...] | None, embeddings: Tensor) -> Tensor | None:
    """How often `indices` name each sample, in units of the sample named most, `[N]`; None if they name none."""
    if indices is None or all(len(part) == 0 for part in indices):
        return None
    count = torch.bincount(torch.cat(indices), minlength=len(embeddings)).to(embeddings.device)
    return (count / count.max()).to(torch.promote_types(embeddings.dtype, torch.float32))


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over the samples, each loss times its weight if there are weights."""
    return losses.mean() if weights is None else (losses * weights).mean()
