"""FaceNet's semi-hard negative of every pair of a batch."""

from mlbench_kernels.miners import SemiHardMiner


def test_semi_hard(benchmark, clusters):
    benchmark(SemiHardMiner(), *clusters(1024))
