"""Metric-learning kernels that never store the N x N matrix."""

from .mining import (
    BatchHard,
    Mined,
    MinedK,
    MultiSimilarity,
    SemiHard,
    WeightedNegatives,
    batch_hard,
    distance_weighted,
    easy_negatives,
    easy_positives,
    hard_negatives,
    hard_positives,
    mine,
    multi_similarity,
    nearest_neighbours,
    semi_hard,
    top_k_negatives,
    top_k_positives,
)
from .retrieval import RetrievalMetrics, retrieval_metrics
from .usage import used_backends

__all__ = [
    "BatchHard",
    "Mined",
    "MinedK",
    "MultiSimilarity",
    "RetrievalMetrics",
    "SemiHard",
    "WeightedNegatives",
    "batch_hard",
    "distance_weighted",
    "easy_negatives",
    "easy_positives",
    "hard_negatives",
    "hard_positives",
    "mine",
    "multi_similarity",
    "nearest_neighbours",
    "retrieval_metrics",
    "semi_hard",
    "top_k_negatives",
    "top_k_positives",
    "used_backends",
]
__version__ = "0.1.0"
