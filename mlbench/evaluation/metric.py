"""The harness's retrieval metrics as a component."""

from typing import ClassVar

from mlbench_kernels.retrieval import retrieval_metrics
from torch import Tensor

from mlbench.api.info import ComponentInfo


class Retrieval:
    """Recall@K, R-Precision and MAP@R by cosine similarity, each sample a query against all others."""

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
        found = retrieval_metrics(embeddings, labels, recall_at=self.recall_at)
        named = {"map_at_r": found.map_at_r, "r_precision": found.r_precision}
        named |= {f"recall_at_{k}": value for k, value in found.recall_at.items()}
        return named | {"queries": found.queries, "lone_queries": found.lone_queries}
