"""The harness's retrieval metrics as a component, and several metrics as one."""

from collections.abc import Sequence
from typing import ClassVar

from mlbench_kernels.retrieval import RetrievalMetrics, retrieval_metrics
from torch import Tensor

from mlbench.api.errors import ConfigError
from mlbench.api.info import ComponentInfo
from mlbench.api.metric import GalleryMetric, Metric


class Retrieval:
    """Recall@K, R-Precision and MAP@R by cosine similarity: each sample a query against all others or a gallery."""

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Recall@K, R-Precision and MAP@R, exact, leave-one-out",
        citation="Musgrave, Belongie, Lim: A Metric Learning Reality Check. ECCV 2020, arXiv 2003.08505",
    )

    def __init__(self, recall_at: tuple[int, ...] = (1, 2, 4, 8)) -> None:
        self.recall_at = recall_at

    def __call__(self, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        """Metrics by name: ``map_at_r``, ``r_precision``, ``recall_at_1``, ... and the counts of queries.

        Args:
            embeddings: ``[N, D]`` float.
            labels: ``[N]`` integer.

        Raises:
            ValueError: If shapes do not fit, an embedding is not finite or no query has a positive.
        """
        return self._named(retrieval_metrics(embeddings, labels, recall_at=self.recall_at))

    def search(
        self, queries: Tensor, query_labels: Tensor, gallery: Tensor, gallery_labels: Tensor
    ) -> dict[str, float]:
        """The same of queries ``[N, D]`` that search a gallery ``[M, D]``.

        Raises:
            ValueError: As above; a query whose class the gallery lacks is left out and counted.
        """
        return self._named(retrieval_metrics(queries, query_labels, gallery, gallery_labels, recall_at=self.recall_at))

    @staticmethod
    def _named(found: RetrievalMetrics) -> dict[str, float]:
        named = {"map_at_r": found.map_at_r, "r_precision": found.r_precision}
        named |= {f"recall_at_{k}": value for k, value in found.recall_at.items()}
        return named | {"queries": found.queries, "lone_queries": found.lone_queries}


def measure(metrics: Sequence[Metric], embeddings: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, float]:
    """The values of all metrics by name.

    Args:
        metrics: What to measure; where there is a gallery, each must be a `GalleryMetric`.
        embeddings: Of the items ``[N, D]``, or of queries ``[N, D]`` and gallery ``[M, D]``; float.
        labels: Of the same; integer.

    Raises:
        ConfigError: If two metrics give a value of the same name.
    """
    found: dict[str, float] = {}
    for metric in metrics:
        values = _values(metric, embeddings, labels)
        if taken := found.keys() & values.keys():
            raise ConfigError(f"evaluation.metrics: two metrics report {min(taken)!r}; remove one of them")
        found |= values
    return found


def _values(metric: Metric, embeddings: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, float]:
    if len(embeddings) == 1:
        return metric(embeddings[0], labels[0])
    assert isinstance(metric, GalleryMetric)
    return metric.search(embeddings[0], labels[0], embeddings[1], labels[1])
