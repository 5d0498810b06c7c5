"""A head over many classes, with gradient."""

from mlbench_kernels.losses import NormalizedSoftmaxLoss


def test_normalized_softmax(benchmark, step):
    benchmark(step(NormalizedSoftmaxLoss(num_classes=5000, embedding_size=128), 256))
