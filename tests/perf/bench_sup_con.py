"""SupCon over a batch, with gradient."""

from mlbench_kernels.losses import SupConLoss


def test_sup_con(benchmark, step):
    benchmark(step(SupConLoss(), 1024))
