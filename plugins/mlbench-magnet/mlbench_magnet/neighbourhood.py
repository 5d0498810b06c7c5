"""Neighbourhood sampling: a seed cluster where the loss is, and its nearest impostors."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from mlbench.api import ComponentInfo, ConfigError
from mlbench_magnet.clusters import Clusters, Floats, Indices, squared_distances
from mlbench_magnet.sampling import ClusterSampler

#: Items whose distances to all clusters are held at a time.
_ROWS = 1024


class NeighbourhoodSampler(ClusterSampler):
    """Batches of one seed cluster and the ``clusters_per_batch - 1`` clusters of other classes nearest to it.

    The seed is drawn in proportion to its mean loss: the magnet objective of its samples against all clusters, taken
    at every refresh. Impostors are the nearest clusters of other classes than the seed's, by their centres.

    Args:
        batch_size: Samples in a batch.
        clusters_per_batch: The seed and its impostors, at least 2.
        clusters_per_class: Clusters of a class; fewer where it has fewer distinct samples.
        alpha: The gap in the objective, at least 0.
        refresh_every: Epochs between two refreshes.
        normalize_embeddings: Whether embeddings are L2-normalised before clustering; say the same to the loss.

    Raises:
        ConfigError: If ``batch_size`` is not a multiple of ``clusters_per_batch``, or a number is too small.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="A seed cluster, drawn in proportion to its mean loss, and its nearest clusters of other classes",
        citation="Rippel et al.: Metric Learning with Adaptive Density Discrimination. ICLR 2016, arXiv 1511.05939",
    )

    def __init__(
        self,
        batch_size: int,
        clusters_per_batch: int = 8,
        clusters_per_class: int = 2,
        alpha: float = 1.0,
        refresh_every: int = 1,
        normalize_embeddings: bool = True,
    ) -> None:
        if clusters_per_batch < 2 or not alpha >= 0:
            raise ConfigError(
                f"clusters_per_batch must be at least 2 and alpha at least 0, got {clusters_per_batch} and {alpha}"
            )
        super().__init__(batch_size, clusters_per_batch, clusters_per_class, refresh_every, normalize_embeddings)
        self.alpha = alpha
        self._importance: Floats | None = None

    def refresh(self, embeddings: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Cluster every class anew and work out the loss of every cluster.

        Args:
            embeddings: Of all training items. ``[N, D]``
            labels: Their classes. ``[N]``
        """
        super().refresh(embeddings, labels)
        assert self._index is not None
        losses = cluster_losses(self._index, self._points(embeddings), self.alpha)
        self._importance = losses / losses.sum() if losses.sum() > 0 else None

    def _choose(self, index: Clusters, rng: np.random.Generator) -> Indices:
        seed = rng.choice(len(index.classes), p=self._importance)
        (distances,) = squared_distances(index.centres[seed, None], index.centres)
        distances[index.classes == index.classes[seed]] = np.inf
        impostors = np.argsort(distances, kind="stable")[: self.clusters_per_batch - 1]
        return np.array([seed, *impostors], dtype=np.int64)


def cluster_losses(index: Clusters, points: Floats, alpha: float) -> Floats:
    """Mean magnet loss of every cluster's points ``[C]``, against all clusters of other classes.

    ``points`` ``[N, D]`` are those that the index was made of. All of it is 0 where there is one class only.
    """
    scale = 2 * max(index.variance, np.finfo(np.float64).eps ** 2)
    classes = index.classes[index.assignment]
    losses = np.empty(len(points))
    for start in range(0, len(points), _ROWS):
        rows = slice(start, start + _ROWS)
        exponents = -squared_distances(points[rows], index.centres) / scale
        exponents[classes[rows, None] == index.classes[None, :]] = -np.inf
        own = np.square(points[rows] - index.centres[index.assignment[rows]]).sum(axis=1) / scale
        losses[rows] = np.maximum(own + alpha + logsumexp(exponents, axis=1), 0.0)
    counts = np.bincount(index.assignment)
    means: Floats = np.bincount(index.assignment, weights=losses) / counts
    return means
