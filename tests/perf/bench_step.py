"""The share of mining and loss in a training step, beside pytorch-metric-learning's and sentence-transformers'.

Run by hand, on an idle machine:

    OMP_NUM_THREADS=1 pytest tests/perf/bench_step.py -s

A step is trunk (torchvision's ResNet-18 on 64x64 images), loss with semi-hard triplets, and the backward pass through
both. Nothing asserts a time.
"""

import os
import sys
import time

import pytest

from mlbench.perf import as_table, measured, report, take_turns

sys.path.insert(0, os.path.dirname(__file__))
from peers import SEMI_HARD, installed

ROUNDS = int(os.environ.get("MLBENCH_BENCH_ROUNDS", "3"))
BATCHES = (32, 128)


def step(function, rows):
    """One step; it returns the share of the loss, forward and backward."""
    import torch

    from mlbench.models._torchvision import import_torchvision

    torch.manual_seed(0)
    trunk = import_torchvision().models.resnet18(num_classes=128)
    images, labels = torch.randn(rows, 3, 64, 64), torch.arange(rows) // 4

    def call():
        begun = time.perf_counter()
        embeddings = torch.nn.functional.normalize(trunk(images))
        leaf = embeddings.detach().requires_grad_()
        start = time.perf_counter()
        function(leaf, labels).backward()
        stop = time.perf_counter()
        embeddings.backward(leaf.grad)
        return (stop - start) / (time.perf_counter() - begun)

    return call


@pytest.mark.parametrize("rows", BATCHES)
def test_step(rows, figures):
    found = take_turns({name: [__file__, name, str(rows)] for name in installed(SEMI_HARD)}, ROUNDS)
    note = "\n\nThe value is the share of mining and loss, forward and backward, in the step's time."
    problem = f"ResNet-18, batch of {rows}"
    figures(f"Mining's share of a training step, {rows} images", as_table({problem: found}) + note, found)


if __name__ == "__main__":
    contestant, rows = sys.argv[1:]
    function = SEMI_HARD[contestant]()
    step(function, 8)()  # loads and warms up everything
    report(measured(step(function, int(rows))))
