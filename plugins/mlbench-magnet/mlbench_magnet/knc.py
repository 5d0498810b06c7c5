"""Classification by the k nearest clusters."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mlbench.api import ComponentInfo
from mlbench_magnet.clusters import Clusters, Floats, Indices, cluster_classes, squared_distances

Booleans = npt.NDArray[np.bool_]

#: Items whose distances to all clusters are held at a time.
_ROWS = 1024


class KNearestClusters:
    """kNC: the share of items that the nearest clusters give their right class.

    With the ``L`` clusters nearest to ``r``, their means ``μ_l`` and the mean squared distance ``σ²`` of the clustered
    items to their own means, the class of ``r`` is::

        argmax_c  Σ_{l ≤ L, class of μ_l is c} exp(-‖r - μ_l‖²/2σ²)

    In the paper clusters are those of the training set. Here the classes are new ones, so items alternate within their
    class between two halves: each half is classified by the clusters of the other, and every item counts once. Items of
    classes with nothing in the other half are left out. Ties go to the lowest class.

    Args:
        clusters_per_class: Clusters of a class in each half, by k-means; fewer where it has fewer distinct items.
        nearest: ``L``, how many clusters vote.

    Raises:
        ValueError: If a number is not positive.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Accuracy of classification by the k nearest clusters, each half of a class by those of the other",
        citation="Rippel et al.: Metric Learning with Adaptive Density Discrimination. ICLR 2016, arXiv 1511.05939",
        expected_failures={"sample-order": "a class is halved, and k-means is started, in the order of its samples"},
    )

    def __init__(self, clusters_per_class: int = 2, nearest: int = 128) -> None:
        if clusters_per_class < 1 or nearest < 1:
            raise ValueError(
                f"clusters_per_class and nearest must be at least 1, got {clusters_per_class} and {nearest}"
            )
        self.clusters_per_class, self.nearest = clusters_per_class, nearest

    def __call__(self, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        """``{"kNC": accuracy}``.

        Args:
            embeddings: ``[N, D]``
            labels: ``[N]``

        Raises:
            ValueError: If every class has one item only.
        """
        points, classes = embeddings.double().cpu().numpy(), labels.cpu().numpy()
        second = _rank_within_class(classes) % 2 == 1
        right = np.concatenate([self._right(points, classes, half) for half in (second, ~second)])
        if len(right) == 0:
            raise ValueError("kNC needs a class with two items")
        return {"kNC": float(right.mean())}

    def _right(self, points: Floats, classes: Indices, half: Booleans) -> Booleans:
        """Whether each item of one half is classified rightly by the clusters of the other."""
        queries = half & np.isin(classes, classes[~half])
        if not queries.any():
            return queries[:0]
        index = cluster_classes(points[~half], classes[~half], self.clusters_per_class)
        chunks = np.array_split(points[queries], -(-int(queries.sum()) // _ROWS))
        right: Booleans = np.concatenate([self._vote(index, rows) for rows in chunks]) == classes[queries]
        return right

    def _vote(self, index: Clusters, points: Floats) -> Indices:
        """The class ``[Q]`` that the nearest clusters give to points ``[Q, D]``."""
        distances = squared_distances(points, index.centres)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : self.nearest]
        near = np.take_along_axis(distances, nearest, axis=1)
        # Relative to the nearest, so that not all votes vanish; without any variance the nearest decides.
        votes = np.exp((near[:, :1] - near) / (2 * max(index.variance, np.finfo(np.float64).eps ** 2)))
        known, voted = np.unique(index.classes, return_inverse=True)
        sums = np.zeros((len(points), len(known)))
        np.add.at(sums, (np.arange(len(points))[:, None], voted[nearest]), votes)
        chosen: Indices = known[sums.argmax(axis=1)]
        return chosen


def _rank_within_class(classes: Indices) -> Indices:
    """How many items of its class come before each item ``[N]``."""
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order], prepend=classes[order[0]] - 1))
    ranks = np.empty(len(classes), dtype=np.int64)
    ranks[order] = np.arange(len(classes)) - np.repeat(starts, np.diff(starts, append=len(classes)))
    return ranks
