"""Metric-learning kernels that never store the N x N matrix."""

from .mining import BatchHard, batch_hard
from .retrieval import RetrievalMetrics, retrieval_metrics

__all__ = ["BatchHard", "RetrievalMetrics", "batch_hard", "retrieval_metrics"]
__version__ = "0.1.0"
