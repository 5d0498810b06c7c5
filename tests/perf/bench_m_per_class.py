"""A hundred batches of the m-per-class sampler."""

from itertools import islice

import numpy as np

from mlbench.data.samplers import MPerClass


def test_m_per_class(benchmark):
    labels = np.repeat(np.arange(500), 12)
    benchmark(lambda: list(islice(MPerClass(128, 4).batches(labels, seed=0), 100)))
