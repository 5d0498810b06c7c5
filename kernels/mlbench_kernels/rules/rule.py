"""The torch form of a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Tile:
    """Distances of a block of anchors to a block of references, and which of the pairs count.

    Attributes:
        distance: `[B, C]`, smaller is nearer; comparable within a row, not between rows.
        positive: `[B, C]`, same label and not the anchor itself.
        negative: `[B, C]`, another label.
        first: index of the first reference of the tile.
    """

    distance: Tensor
    positive: Tensor
    negative: Tensor
    first: int


class Rule(Protocol):
    """What is kept per anchor while the references stream by, in ascending order of their index."""

    name: str
    """`rules/<name>_triton.py` holds the Triton form."""

    outputs: int
    """How many index vectors `finish` returns."""

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """The state of `rows` anchors that have seen nothing; every tensor has the shape `[rows]`."""
        ...

    def update(self, state: State, tile: Tile) -> State:
        """The state after one more tile."""
        ...

    def merge(self, earlier: State, later: State) -> State:
        """The state of anchors that have seen the references of both; those of `earlier` have lower indices."""
        ...

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The result, int64 `[rows]` each; -1 where there is none."""
        ...
