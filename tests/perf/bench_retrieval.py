"""Exact retrieval metrics beside pytorch-metric-learning's `AccuracyCalculator` with faiss-cpu.

Run by hand, on an idle machine:

    OMP_NUM_THREADS=2 pytest tests/perf/bench_retrieval.py -s

Every measurement is one call in a fresh process, so that peak memory belongs to one contestant; the contestants take
turns, so that a change of the machine's speed hits both. The last test prints medians. Nothing asserts a time.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict

import pytest

# name: (queries, classes, smallest class, largest class, noise of the clusters)
PROBLEMS = {
    "SOP-size, trained": (60_502, 11_316, 2, 12, 1.2),
    "SOP-size, untrained": (60_502, 11_316, 2, 12, 100.0),
    "CUB-size, trained": (5_924, 100, 41, 60, 2.5),
    "CUB-size, untrained": (5_924, 100, 41, 60, 100.0),
}
CONTESTANTS = ("mlbench_kernels", "pml + faiss-cpu")
ROUNDS = int(os.environ.get("MLBENCH_BENCH_ROUNDS", "3"))
RESULTS = defaultdict(list)


def make(queries, classes, smallest, largest, noise):
    """Clusters of `smallest` to `largest` unit vectors, 128 dimensions, in random order."""
    import torch

    generator = torch.Generator().manual_seed(0)
    sizes = torch.full((classes,), smallest)
    room = torch.arange(classes).repeat_interleave(largest - smallest)
    extra = room[torch.randperm(len(room), generator=generator)[: queries - int(sizes.sum())]]
    labels = torch.arange(classes).repeat_interleave(sizes + torch.bincount(extra, minlength=classes))
    labels = labels[torch.randperm(queries, generator=generator)]
    embeddings = torch.randn(classes, 128, generator=generator)[labels]
    embeddings += noise * torch.randn(queries, 128, generator=generator)
    return torch.nn.functional.normalize(embeddings), labels


def ours(embeddings, labels):
    from mlbench_kernels import retrieval_metrics

    return retrieval_metrics(embeddings, labels, distance="squared-euclidean").map_at_r


def theirs(embeddings, labels):
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=names, k="max_bin_count")
    return calculator.get_accuracy(embeddings, labels)["mean_average_precision_at_r"]


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(contestant: str, problem: str) -> dict[str, float]:
    """In this process: time and memory above the inputs of one call, after a small one that loads everything."""
    call = ours if contestant == CONTESTANTS[0] else theirs
    call(*make(640, 32, 20, 20, 1.0))
    inputs = make(*PROBLEMS[problem])
    before, start = peak(), time.perf_counter()
    value = call(*inputs)
    return {"seconds": time.perf_counter() - start, "bytes": peak() - before, "map_at_r": value}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("problem", PROBLEMS)
def test_take_turns(problem, turn):
    for contestant in CONTESTANTS:
        command = [sys.executable, __file__, contestant, problem]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        RESULTS[problem, contestant].append(json.loads(answer.splitlines()[-1]))
    values = [RESULTS[problem, contestant][-1]["map_at_r"] for contestant in CONTESTANTS]
    assert values[0] == pytest.approx(values[1], abs=1e-5)


def test_print_table():
    print(f"\n| problem | contestant | median s | peak MiB above inputs | MAP@R |  ({ROUNDS} rounds)")
    print("|---|---|---|---|---|")
    for (problem, contestant), runs in RESULTS.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        memory = max(run["bytes"] for run in runs) / 2**20
        print(f"| {problem} | {contestant} | {seconds:.2f} | {memory:.0f} | {runs[0]['map_at_r']:.6f} |")


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
