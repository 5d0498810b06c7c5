"""Heads over 100,000 classes beside pytorch-metric-learning's: one step of loss and gradient.

Run by hand, on an idle machine:

    OMP_NUM_THREADS=1 pytest tests/perf/bench_heads.py -s

Nothing asserts a time; that both find the same loss is asserted.
"""

import os
import sys

import pytest

from mlbench.perf import as_table, measured, report, take_turns

HEADS = ("NormalizedSoftmaxLoss", "ArcFaceLoss", "ProxyNCALoss", "ProxyAnchorLoss")
CONTESTANTS = ("mlbench_kernels", "pytorch_metric_learning")
SAMPLES, CLASSES, DIMENSION = 512, 100_000, 128
ROUNDS = int(os.environ.get("MLBENCH_BENCH_ROUNDS", "3"))


def head(package, name, classes):
    import importlib

    import torch

    torch.manual_seed(0)
    return getattr(importlib.import_module(f"{package}.losses"), name)(classes, DIMENSION)


def batch(classes):
    import torch

    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(SAMPLES, DIMENSION, generator=generator).requires_grad_()
    return embeddings, torch.randint(0, classes, (SAMPLES,), generator=generator)


def step(loss, embeddings, labels):
    value = loss(embeddings, labels)
    value.backward()
    return value.item()


@pytest.mark.parametrize("name", HEADS)
def test_heads(name):
    found = take_turns({package: [__file__, package, name] for package in CONTESTANTS}, ROUNDS)
    print("\n" + as_table({f"{name}, {SAMPLES} x {CLASSES:,}": found}))
    values = [runs[0].value for runs in found.values()]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


if __name__ == "__main__":
    package, name = sys.argv[1:]
    step(head(package, name, 600), *batch(600))  # loads and warms up everything
    loss, inputs = head(package, name, CLASSES), batch(CLASSES)
    report(measured(lambda: step(loss, *inputs)))
