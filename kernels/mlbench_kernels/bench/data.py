"""Inputs: clusters like those of a network in the middle of its training, the same on every machine."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .case import Shape

_NOISE = 1.2  # in units of the centres' length: cosine 0.4 within a class, so that easy and hard pairs both exist


class Batch(NamedTuple):
    """Unit rows `[N, D]` and their labels `[N]`, in no order."""

    embeddings: Tensor
    labels: Tensor


def make_batch(shape: Shape, device: torch.device) -> Batch:
    """Rows of `shape.classes` clusters, shuffled."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randperm(shape.count, generator=generator) % shape.classes
    centres = normalize(torch.randn(shape.classes, shape.dimension, generator=generator))
    noise = torch.randn(shape.count, shape.dimension, generator=generator)
    embeddings = normalize(centres[labels] + _NOISE * normalize(noise))
    return Batch(embeddings.to(device), labels.to(device))
