"""Contrastive loss over all pairs, with gradient."""

from mlbench_kernels.losses import ContrastiveLoss


def test_contrastive(benchmark, step):
    benchmark(step(ContrastiveLoss(), 1024))
