"""Exact retrieval metrics beside pytorch-metric-learning's `AccuracyCalculator`, faiss-cpu's search and plain products.

Run by hand, on an idle machine:

    OMP_NUM_THREADS=2 pytest tests/perf/bench_retrieval.py -s

Nothing asserts a time; that both find the same numbers is asserted.
"""

import os
import sys

import pytest

from mlbench.perf import as_table, measured, report, take_turns

# name: (queries, dimension, classes, smallest class, largest class, noise of the clusters)
# With the noise of "trained" MAP@R is about 25% at the sizes of CUB and Cars, as that of trained networks.
PROBLEMS = {
    "CUB-size, trained": (5_924, 512, 100, 41, 60, 3.05),
    "CUB-size, untrained": (5_924, 512, 100, 41, 60, 100.0),
    "Cars-size, trained": (8_131, 512, 98, 68, 97, 3.05),
    "SOP-size, trained": (60_502, 128, 11_316, 2, 12, 1.2),
    "SOP-size, untrained": (60_502, 128, 11_316, 2, 12, 100.0),
}
ROUNDS = int(os.environ.get("MLBENCH_BENCH_ROUNDS", "3"))


def make(queries, dimension, classes, smallest, largest, noise):
    """Clusters of `smallest` to `largest` unit vectors in random order."""
    import torch

    generator = torch.Generator().manual_seed(0)
    sizes = torch.full((classes,), smallest)
    room = torch.arange(classes).repeat_interleave(largest - smallest)
    extra = room[torch.randperm(len(room), generator=generator)[: queries - int(sizes.sum())]]
    labels = torch.arange(classes).repeat_interleave(sizes + torch.bincount(extra, minlength=classes))
    labels = labels[torch.randperm(queries, generator=generator)]
    embeddings = torch.randn(classes, dimension, generator=generator)[labels]
    embeddings += noise * torch.randn(queries, dimension, generator=generator)
    return torch.nn.functional.normalize(embeddings), labels


def ours(embeddings, labels):
    from mlbench_kernels import retrieval_metrics

    return retrieval_metrics(embeddings, labels, distance="squared-euclidean").map_at_r


def theirs(embeddings, labels):
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=names, k="max_bin_count")
    return calculator.get_accuracy(embeddings, labels)["mean_average_precision_at_r"]


def search(embeddings, labels):
    """No metric, but what theirs begins with: the nearest R + 1 of every query, R that of the largest class."""
    import faiss

    index = faiss.IndexFlatL2(embeddings.shape[1])
    index.add(embeddings.numpy())
    nearest = index.search(embeddings.numpy(), int(labels.bincount().max()))[1]
    return float((labels[nearest[:, 1]] == labels).float().mean())


def products(embeddings, labels):
    """No search either: the matrix of all similarities, a thousand rows at a time."""
    return float(sum((rows @ embeddings.T)[0, 0] for rows in embeddings.split(1024)))


CONTESTANTS = {
    "mlbench_kernels": ours,
    "pytorch-metric-learning + faiss-cpu": theirs,
    "faiss-cpu, search alone": search,
    "matrix products alone": products,
}
NOTE = "\n\nThe value is MAP@R; of the search alone it is precision at 1, of products nothing."


@pytest.mark.parametrize("problem", PROBLEMS)
def test_retrieval(problem, figures):
    found = take_turns({name: [__file__, name, problem] for name in CONTESTANTS}, ROUNDS)
    figures(f"Evaluation, {problem}", as_table({problem: found}) + NOTE, found)
    values = [runs[0].value for runs in found.values()]
    assert values[0] == pytest.approx(values[1], abs=1e-5)


if __name__ == "__main__":
    contestant, problem = sys.argv[1:]
    call = CONTESTANTS[contestant]
    call(*make(640, 128, 32, 20, 20, 1.0))  # loads and warms up everything
    inputs = make(*PROBLEMS[problem])
    report(measured(lambda: call(*inputs)))
