"""Batches of whole clusters, drawn from an index that follows the model."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api import ComponentInfo, ConfigError, GroupedBatch
from mlbench_magnet.clusters import Clusters, Indices, cluster_classes, normalized


class ClusterSampler:
    """Batches of ``clusters_per_batch`` clusters, drawn uniformly, with equally many samples of each.

    Every refresh cuts each class into clusters by k-means. The groups of a batch are its clusters. Their samples are
    drawn without replacement, or with it where a cluster is too small. Before the first refresh clusters are random.

    Args:
        batch_size: Samples in a batch.
        clusters_per_batch: Clusters in a batch.
        clusters_per_class: Clusters of a class; fewer where it has fewer distinct samples.
        refresh_every: Epochs between two refreshes.
        normalize_embeddings: Whether embeddings are L2-normalised before clustering; say the same to the loss.

    Raises:
        ConfigError: If ``batch_size`` is not a multiple of ``clusters_per_batch``, or a number is not positive.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Uniformly drawn clusters, by k-means inside every class, with equally many samples of each",
        citation="Rippel et al.: Metric Learning with Adaptive Density Discrimination. ICLR 2016, arXiv 1511.05939",
    )

    def __init__(
        self,
        batch_size: int,
        clusters_per_batch: int = 8,
        clusters_per_class: int = 2,
        refresh_every: int = 1,
        normalize_embeddings: bool = True,
    ) -> None:
        if min(batch_size, clusters_per_batch, clusters_per_class, refresh_every) < 1:
            raise ConfigError("batch_size, clusters_per_batch, clusters_per_class and refresh_every must be at least 1")
        if batch_size % clusters_per_batch:
            raise ConfigError(f"batch_size {batch_size} is not a multiple of clusters_per_batch {clusters_per_batch}")
        self.samples_per_cluster = batch_size // clusters_per_batch
        self.clusters_per_batch, self.clusters_per_class = clusters_per_batch, clusters_per_class
        self.refresh_every, self.normalize_embeddings = refresh_every, normalize_embeddings
        self._index: Clusters | None = None

    def refresh(self, embeddings: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Cluster every class anew.

        Args:
            embeddings: Of all training items. ``[N, D]``
            labels: Their classes. ``[N]``
        """
        self._index = self._clustered(embeddings, labels)

    def batches(self, labels: npt.ArrayLike, seed: int) -> Iterator[GroupedBatch]:
        """An endless stream of batches; each follows the latest refresh.

        Args:
            labels: Class of every sample. ``[N]``
            seed: Any non-negative integer.

        Raises:
            ConfigError: If there are fewer classes than a batch has clusters.
        """
        classes = len(np.unique(np.asarray(labels)))
        if classes < self.clusters_per_batch:
            raise ConfigError(
                f"a batch of {self.clusters_per_batch} clusters needs as many classes, the training set has {classes}; "
                f"lower clusters_per_batch"
            )
        return self._endless(np.asarray(labels), np.random.default_rng(seed))

    def _endless(self, labels: Indices, rng: np.random.Generator) -> Iterator[GroupedBatch]:
        index = self._index or self._clustered(rng.standard_normal((len(labels), 2)), labels)
        while True:
            index = self._index or index
            chosen = self._choose(index, rng)
            samples = [self._samples(np.flatnonzero(index.assignment == cluster), rng) for cluster in chosen]
            yield GroupedBatch(np.concatenate(samples), np.repeat(chosen, self.samples_per_cluster))

    def _clustered(self, embeddings: npt.ArrayLike, labels: npt.ArrayLike) -> Clusters:
        return cluster_classes(self._points(embeddings), labels, self.clusters_per_class)

    def _points(self, embeddings: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return normalized(embeddings) if self.normalize_embeddings else np.asarray(embeddings, dtype=np.float64)

    def _choose(self, index: Clusters, rng: np.random.Generator) -> Indices:
        """The clusters of a batch."""
        return rng.permutation(len(index.classes))[: self.clusters_per_batch]

    def _samples(self, members: Indices, rng: np.random.Generator) -> Indices:
        if len(members) < self.samples_per_cluster:
            return members[rng.integers(len(members), size=self.samples_per_cluster)]
        return rng.permutation(members)[: self.samples_per_cluster]
