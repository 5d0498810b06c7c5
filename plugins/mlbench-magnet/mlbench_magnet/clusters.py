"""The cluster index: k-means inside every class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """Points in clusters, none of which spans two classes.

    Attributes:
        centres: Means of the clusters, class by class in the order of the labels. ``[C, D]``
        classes: Label of every cluster. ``[C]``
        assignment: Cluster of every point. ``[N]``
        variance: ``Σ ‖r - μ(r)‖² / (N - 1)``, where ``μ(r)`` is the centre of the point's cluster.
    """

    centres: Floats
    classes: Indices
    assignment: Indices
    variance: float


def cluster_classes(points: npt.ArrayLike, labels: npt.ArrayLike, per_class: int) -> Clusters:
    """Cut every class into ``per_class`` clusters by k-means, or into as many as it has distinct points.

    The result is a function of its arguments alone: k-means++ starts from a fixed seed, on one thread.

    Args:
        points: ``[N, D]``
        labels: ``[N]``
        per_class: Clusters of a class, at least 1.

    >>> found = cluster_classes([[0.0], [1.0], [9.0], [5.0]], [7, 7, 7, 3], per_class=2)
    >>> found.classes.tolist(), sorted(found.centres[:, 0].tolist())
    ([3, 7, 7], [0.5, 5.0, 9.0])
    """
    points = np.asarray(points, dtype=np.float64)
    centres: list[Floats] = []
    classes: list[Any] = []
    assignment = np.empty(len(points), dtype=np.int64)
    labels = np.asarray(labels)
    with threadpool_limits(limits=1):  # several threads add up in any order
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            found = _parts(points[members], per_class)
            assignment[members] = len(centres) + found
            centres += [points[members[found == part]].mean(axis=0) for part in range(found.max() + 1)]
            classes += [label] * (found.max() + 1)
    means = np.stack(centres)
    spread = float(np.square(points - means[assignment]).sum())
    return Clusters(means, np.asarray(classes, dtype=np.int64), assignment, spread / max(len(points) - 1, 1))


def squared_distances(points: Floats, centres: Floats) -> Floats:
    """Squared Euclidean distances ``[N, C]`` of points ``[N, D]`` and centres ``[C, D]``."""
    squares = np.square(points).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)[None, :]
    distances: Floats = np.maximum(squares - 2 * points @ centres.T, 0.0)
    return distances


def normalized(points: npt.ArrayLike) -> Floats:
    """The points ``[N, D]`` at length 1; one at the origin stays there."""
    points = np.asarray(points, dtype=np.float64)
    scaled: Floats = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return scaled


def _parts(points: Floats, count: int) -> Indices:
    """A cluster ``0..k-1`` for every point, none of them empty."""
    if count > 1:
        count = min(count, len(np.unique(points, axis=0)))
    if count == 1:
        return np.zeros(len(points), dtype=np.int64)
    found = KMeans(count, n_init=1, random_state=0).fit_predict(points)
    return np.unique(found, return_inverse=True)[1].astype(np.int64)
