"""Inputs that the operations' benchmarks share."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture
def clusters():
    """Unit vectors ``[N, 128]`` in loose clusters, and their labels."""

    def make(rows, per_class=4):
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(rows) // per_class
        embeddings = torch.randn(rows // per_class, 128, generator=generator)[labels]
        embeddings += 2 * torch.randn(rows, 128, generator=generator)
        return torch.nn.functional.normalize(embeddings), labels

    return make


@pytest.fixture
def step(clusters):
    """Value and gradient of a loss on a batch: the call to measure."""

    def make(loss, rows, per_class=4):
        embeddings, labels = clusters(rows, per_class)
        embeddings.requires_grad_()

        def call():
            embeddings.grad = None
            loss(embeddings, labels).backward()

        return call

    return make


@pytest.fixture(scope="session")
def figures():
    """Print a section of the page of figures; ``MLBENCH_BENCH_FIGURES`` names the folder to write the page to."""
    from mlbench.perf.figures import Figures

    page = Figures()
    yield page.add
    if folder := os.environ.get("MLBENCH_BENCH_FIGURES"):
        print(f"\n{page.write(Path(folder))}")
