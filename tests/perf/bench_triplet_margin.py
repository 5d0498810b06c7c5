"""All semi-hard triplets of a batch, with gradient."""

from mlbench_kernels.losses import TripletMarginLoss


def test_triplet_margin(benchmark, step):
    benchmark(step(TripletMarginLoss(margin=0.2, kind="semi-hard"), 512, per_class=8))
