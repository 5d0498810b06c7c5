"""What both forms of the loss share: the hinge of every sample against the clusters of a batch."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot


class MagnetTerms(nn.Module):
    """Base of the two forms: hinges of a batch.

    Args:
        alpha: The gap between a sample's own cluster and those of other classes, in units of the exponent.
        epsilon: Added to the sum over clusters of other classes, above 0: keeps the value finite where there are none.
        normalize_embeddings: Whether embeddings are L2-normalised first.

    Raises:
        ValueError: If ``alpha`` is negative or ``epsilon`` is not positive.
    """

    def __init__(self, alpha: float, epsilon: float, normalize_embeddings: bool) -> None:
        super().__init__()
        if not alpha >= 0 or not epsilon > 0:
            raise ValueError(f"alpha must be at least 0 and epsilon above 0, got {alpha} and {epsilon}")
        self.alpha, self.epsilon, self.normalize_embeddings = alpha, epsilon, normalize_embeddings

    def _hinges(self, embeddings: Tensor, labels: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hinge of every sample, and membership of samples in clusters.

        Returns:
            ``[N]`` and ``[N, M]``: in column m, ones for the samples of cluster m.
        """
        points = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        if self.normalize_embeddings:
            points = normalize(points, dim=1)
        cluster = (labels if groups is None else groups).unique(return_inverse=True)[1]  # [N]
        member = one_hot(cluster).to(points.dtype)  # [N, M]
        centres = (member.T @ points) / member.sum(0)[:, None]  # [M, D]
        own_class = _class_of_clusters(cluster, labels, member.shape[1])
        distances = (points[:, None] - centres[None]).square().sum(2)  # [N, M]
        own = distances.gather(1, cluster[:, None])[:, 0]
        # Equal embeddings within every cluster have no variance; the floor keeps gradients finite there.
        variance = (own.sum() / max(len(own) - 1, 1)).clamp_min(torch.finfo(points.dtype).eps ** 2)
        exponents = (-distances / (2 * variance)).masked_fill(labels[:, None] == own_class[None, :], -torch.inf)
        floor = exponents.new_full((len(exponents), 1), math.log(self.epsilon))
        others = torch.cat([exponents, floor], dim=1).logsumexp(1)
        return (own / (2 * variance) + self.alpha + others).relu(), member


def refuse_pairs(indices_tuple: object, ref_emb: Tensor | None, ref_labels: Tensor | None) -> None:
    """Refuse what a loss over clusters cannot use.

    Raises:
        ValueError: If anything is given.
    """
    if indices_tuple is not None:
        raise ValueError("magnet loss compares samples with clusters, not pairs: leave the miner out")
    if ref_emb is not None or ref_labels is not None:
        raise ValueError("magnet loss takes its clusters from the batch: it has no form with ref_emb")


def _class_of_clusters(cluster: Tensor, labels: Tensor, count: int) -> Tensor:
    """Label of every cluster ``[M]``.

    Raises:
        ValueError: If a cluster has samples of two classes.
    """
    found = labels.new_zeros(count).scatter(0, cluster, labels)
    if not torch.equal(found[cluster], labels):
        raise ValueError("groups must be finer than classes: one of them has samples of two classes")
    return found
