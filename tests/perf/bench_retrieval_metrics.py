"""Recall@K, R-Precision and MAP@R of a test set."""

from mlbench_kernels import retrieval_metrics


def test_retrieval_metrics(benchmark, clusters):
    benchmark(retrieval_metrics, *clusters(2048, per_class=16))
