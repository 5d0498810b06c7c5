"""What is right, in float64, a block of rows at a time; and how far from it an answer may be."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..precision import relative_error
from .case import Verdict
from .data import Batch

_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 26}  # of a block


def pick_bound(precision: str, dimension: int) -> float:
    """How much worse than the best a pick may be: the cosines of the two that were confused have an error each."""
    return 2 * relative_error(precision, dimension)


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
        self.batch, self.pool, self.farthest = batch, pool, farthest
        found = [self._of(block, k) for block in blocks(batch)]
        value, self.index = (torch.cat(part) for part in zip(*found, strict=True))
        self.index[value.isinf()] = -1
        self.value = value.masked_fill(value.isinf(), torch.nan)

    def _of(self, block: Block, k: int) -> tuple[Tensor, Tensor]:
        member = block.positive if self.pool == "positives" else ~block.same
        worst = -math.inf if self.farthest else math.inf
        distance = block.distance.masked_fill(~member, worst)
        if k == 1:  # much faster than topk
            value, index = (torch.max if self.farthest else torch.min)(distance, dim=1, keepdim=True)
        else:
            value, index = distance.topk(k, dim=1, largest=self.farthest)
        return value, index

    def differ(self, index: Tensor) -> int:
        """How many of the picks `[N]` or `[N, k]` are others."""
        return int((index.view_as(self.index) != self.index).sum())

    def excess(self, index: Tensor) -> float:
        """The largest distance between a pick `[N]` or `[N, k]` and the best; infinite for one outside the pool."""
        index = index.reshape(self.index.shape)
        row = torch.arange(len(index), device=index.device)[:, None].expand_as(index)
        labels = self.batch.labels
        outside = (labels[row] == labels[index.clamp_min(0)]) != (self.pool == "positives")
        outside |= (index == row) | ((index < 0) != (self.index < 0))
        if bool((outside & ((index >= 0) | (self.index >= 0))).any()):
            return math.inf
        value = pair_distances(self.batch, row.flatten(), index.flatten()).view(index.shape)
        # The k-th of the picks beside the k-th of all: their order is part of the answer.
        return float((value - self.value).abs().nan_to_num(0.0).max())

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
