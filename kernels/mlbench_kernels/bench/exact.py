"""What is right, in float64, a block of rows at a time; and how far from it an answer may be."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .case import Verdict
from .data import Batch

_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 26}  # of a block

# Largest error of a product of two numbers, relative to it: of its rounded operands, or of the terms left out.
_PRODUCT_ERROR = {"ieee": 2**-24, "tf32x3": 3 * 2**-20, "bf16x3": 3 * 2**-16, "tf32": 2**-9, "bf16": 2**-7}


def cosine_error(precision: str, dimension: int) -> float:
    """Largest error of a cosine of unit rows that were normalised, multiplied and summed in `precision`.

    >>> f"{cosine_error('bf16', 128):.1e}, {cosine_error('ieee', 128):.1e}"
    '7.8e-03, 1.6e-05'
    """
    return _PRODUCT_ERROR[precision] + (2 * dimension + 16) * 2**-24


def pick_bound(precision: str, dimension: int) -> float:
    """How much worse than the best a pick may be: the two that were confused have an error each."""
    return 2 * cosine_error(precision, dimension)


class Block:
    """Some rows against all.

    Attributes:
        rows: which.
        distance: `[B, N]`, float64 cosine distances.
        same: `[B, N]`, whether the labels are equal.
        positive: `[B, N]`, `same` but for the row itself.
    """

    def __init__(self, batch: Batch, x: Tensor, rows: slice) -> None:
        self.rows = rows
        self.distance = 1 - x[rows] @ x.T
        self.same = batch.labels[rows, None] == batch.labels
        index = torch.arange(len(x), device=x.device)
        self.positive = self.same & (index[rows, None] != index)


def blocks(batch: Batch) -> Iterator[Block]:
    """All rows."""
    x = normalize(batch.embeddings.double())
    size = max(1, _ELEMENTS[x.device.type] // len(x))
    for start in range(0, len(x), size):
        yield Block(batch, x, slice(start, start + size))


def pair_distances(batch: Batch, anchor: Tensor, reference: Tensor) -> Tensor:
    """Exact distances `[P]` of pairs; NaN for the index -1."""
    parts = []
    size = max(1, _ELEMENTS[anchor.device.type] // batch.embeddings.shape[1])
    for a, r in zip(anchor.split(size), reference.split(size), strict=True):
        x, y = (normalize(batch.embeddings[part].double()) for part in (a, r.clamp_min(0)))
        parts.append((1 - (x * y).sum(dim=1)).masked_fill(r < 0, torch.nan))
    return torch.cat(parts)


class Best:
    """The exact k best of a pool for every row.

    Attributes:
        value: `[N, k]`, distances, the best first; NaN where there are fewer.
        index: `[N, k]`, int64; -1 where there are fewer.
    """

    def __init__(self, batch: Batch, pool: str, farthest: bool, k: int = 1) -> None:
        self.batch, self.farthest = batch, farthest
        found = [self._of(block, pool, k) for block in blocks(batch)]
        value, self.index = (torch.cat(part) for part in zip(*found, strict=True))
        self.index[value.isinf()] = -1
        self.value = value.masked_fill(value.isinf(), torch.nan)

    def _of(self, block: Block, pool: str, k: int) -> tuple[Tensor, Tensor]:
        member = block.positive if pool == "positives" else ~block.same
        worst = -math.inf if self.farthest else math.inf
        value, index = block.distance.masked_fill(~member, worst).topk(k, dim=1, largest=self.farthest)
        return value, index

    def differ(self, index: Tensor) -> int:
        """How many of the picks `[N]` or `[N, k]` are others."""
        return int((index.view_as(self.index) != self.index).sum())

    def excess(self, index: Tensor) -> float:
        """By how much the worst of the picks `[N]` or `[N, k]` misses; infinite where there is one too many or few."""
        index = index.reshape(self.index.shape)
        if bool(((index < 0) != (self.index < 0)).any()):
            return math.inf
        row = torch.arange(len(index), device=index.device)[:, None].expand_as(index)
        value = pair_distances(self.batch, row.flatten(), index.flatten()).view(index.shape)
        # The k-th best of the picks against the k-th best of all: their order is part of the answer.
        missed = (self.value - value) if self.farthest else (value - self.value)
        return max(0.0, float(missed.nan_to_num(0.0).max()))

    def verdict(self, index: Tensor, bound: float) -> Verdict:
        """Of the picks `[N]` or `[N, k]`."""
        return Verdict(self.differ(index), self.index.numel(), self.excess(index), bound)


def together(verdicts: list[Verdict]) -> Verdict:
    """Several parts of one answer."""
    return Verdict(
        sum(part.differ for part in verdicts),
        sum(part.of for part in verdicts),
        max(part.excess for part in verdicts),
        max(part.bound for part in verdicts),
    )
