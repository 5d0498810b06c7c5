"""The torch form of a rule: what is kept per anchor while the references stream by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Pool = Literal["positives", "negatives", "others"]
Output = Literal["index", "count", "distance", "number"]


@dataclass(frozen=True)
class Tile:
    """A block of anchors against a block of references.

    Attributes:
        distance: `[B, C]`, in the unit of the rule; pairs outside the rule's pool hold its `absent`. Read only.
        first: position of the first column; that of column c is `first + c`.
        rows: `[B]`, int64, indices of the anchors in what the caller gave.
        columns: `[1, C]` or `[B, C]`, int64, indices of the references in what the caller gave.
        thresholds: `[B, T]`, the rule's thresholds for these anchors, in the unit of `distance`; `[B, 0]` without.
    """

    distance: Tensor
    first: int
    rows: Tensor
    columns: Tensor
    thresholds: Tensor


class Rule(Protocol):
    """One fused mining rule: a state per anchor, and how a tile of distances changes it.

    References arrive in ascending order of position, and within one pool positions ascend with the caller's indices: a
    rule that keeps the earlier of equal candidates keeps the lowest index. `rules/extreme.py` is the example to copy.
    """

    pool: Pool
    """Which references an anchor meets: those of its label (never itself), of other labels, or all but itself."""

    absent: float
    """What the distance of a pair outside the pool reads as: the value that can never win, `inf` or `-inf`."""

    needs_distance: bool
    """The unit of `Tile.distance`. True: the caller's distance. False: cheaper, an increasing function of it."""

    thresholds: Tensor | None
    """`[N, T]`, distances in the caller's unit that an anchor's pairs are compared with.

    With `needs_distance` they arrive as they are, so that they may be any numbers that belong to an anchor.
    """

    width: int
    """Columns of each output `[N, width]`; 0 for `[N]`."""

    outputs: Sequence[Output]
    """What `finish` returns: positions (they become indices), counts, distances in the unit of the tile, numbers."""

    triton: str
    """Module with the Triton form: `init`, `update` and `finish`."""

    constants: tuple[int | float | bool, ...]
    """What the Triton form gets as compile-time `CONSTANTS`."""

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """The state of `rows` anchors that have seen nothing; every tensor is `[rows, ...]`."""
        ...

    def update(self, state: State, tile: Tile) -> State:
        """The state after one more tile."""
        ...

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The outputs, `[rows]` or `[rows, width]` each; a position or distance that does not exist is -1 or NaN."""
        ...


class BaseRule:
    """The usual answers, for a rule to inherit; what remains is `triton`, `init`, `update` and `finish`."""

    pool: Pool = "negatives"
    absent: float = torch.inf
    needs_distance = False
    thresholds: Tensor | None = None
    width = 0
    outputs: Sequence[Output] = ("index",)
    constants: tuple[int | float | bool, ...] = ()
