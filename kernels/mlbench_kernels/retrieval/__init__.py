"""Exact retrieval metrics in bounded memory."""

from .metrics import RetrievalMetrics, retrieval_metrics

__all__ = ["RetrievalMetrics", "retrieval_metrics"]
