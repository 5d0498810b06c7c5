"""The contract of a metric."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


class Metric(Protocol):
    """A component of the group ``mlbench.metrics``.

    A benchmark that names it under ``evaluation.metrics`` reports it beside Recall@K, R-Precision and MAP@R in every
    test. Nothing is ever selected on it.
    """

    def __call__(self, embeddings: "Tensor", labels: "Tensor") -> dict[str, float]:
        """Values between 0 and 1 by name; the name is the heading of its column, where values are percentages.

        Args:
            embeddings: Of all test items. ``[N, D]`` float32
            labels: Their classes. ``[N]`` int64
        """
        ...


@runtime_checkable
class GalleryMetric(Metric, Protocol):
    """A metric that can also be reported of a test in which queries search a gallery."""

    def search(
        self, queries: "Tensor", query_labels: "Tensor", gallery: "Tensor", gallery_labels: "Tensor"
    ) -> dict[str, float]:
        """The same values, by the same names; no item is on both sides.

        Args:
            queries: ``[N, D]`` float32
            query_labels: Their classes. ``[N]`` int64
            gallery: Among these the queries search. ``[M, D]`` float32
            gallery_labels: Their classes. ``[M]`` int64
        """
        ...
