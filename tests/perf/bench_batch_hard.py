"""The hardest positive and negative of every sample of a batch."""

from mlbench_kernels import batch_hard


def test_batch_hard(benchmark, clusters):
    benchmark(batch_hard, *clusters(1024))
