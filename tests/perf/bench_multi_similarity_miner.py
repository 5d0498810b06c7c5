"""The hard pairs of multi-similarity."""

from mlbench_kernels.miners import MultiSimilarityMiner


def test_multi_similarity_miner(benchmark, clusters):
    benchmark(MultiSimilarityMiner(epsilon=0.1), *clusters(1024))
