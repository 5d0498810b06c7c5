"""Brute force that shares nothing with the kernels, and data on which float32 is exact."""

import os
import subprocess
import sys
from pathlib import Path

import torch

DISTANCES = ["cosine", "euclidean", "squared-euclidean"]


def data(count, dimension, classes, seed=0, whole=False):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(count, dimension, generator=generator)
    return embeddings.mul(2).round() if whole else embeddings, torch.randint(0, classes, (count,), generator=generator)


def pairwise(x, y, distance):
    """Float64 distances of all pairs, `[N, M]`."""
    x, y = x.double(), y.double()
    if distance == "cosine":
        return 1 - torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T
    square = (x[:, None] - y[None]).square().sum(-1)
    return square.sqrt() if distance == "euclidean" else square


def pool_mask(labels, reference_labels, square, pool):
    same = labels[:, None] == reference_labels[None, :]
    mask = {"positives": same, "negatives": ~same, "others": torch.ones_like(same)}[pool].clone()
    return mask.fill_diagonal_(False) if square else mask


def ranked(distance, mask, k, farthest=False):
    """The first k allowed references of each row by distance, then by index; -1 where there are fewer."""
    key = torch.where(mask, -distance if farthest else distance, torch.inf)
    value, index = key.sort(dim=1, stable=True)
    index = torch.where(value < torch.inf, index, -1)
    return torch.nn.functional.pad(index, (0, max(0, k - index.shape[1])), value=-1)[:, :k]


def poison(setattr=setattr):
    """Fill what torch leaves unwritten with what would be noticed: NaN, and integers that are no index."""

    def filled(make):
        def poisoned(*arguments, **options):
            tensor = make(*arguments, **options)
            return tensor.fill_(torch.nan if tensor.is_floating_point() else 99 if tensor.dtype != torch.bool else True)

        return poisoned

    for owner, name in ((torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")):
        setattr(owner, name, filled(getattr(owner, name)))


def run_python(code, **environment):
    """In a process of its own, as Triton decides at import whether it interprets; unwritten memory is poisoned."""
    code = f"import brute; brute.poison(); {code}"
    here = str(Path(__file__).parent)
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
