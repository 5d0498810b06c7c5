"""Pair losses: rules whose first output has a gradient, because they say what each pair adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from .rule import BaseRule, Output, Pool, State, Tile


class PairLoss(BaseRule):
    """A sum over the pairs of each anchor, `out_i = sum_j value(d_ij)`, and how it changes with every distance.

    A loss of one's own is `value`, its derivative `slope`, and `triton`, the module with the same in Triton. One that
    is no plain sum overrides `init`, `update`, `finish` and `weight`, as `log_sum_exp.py` does.

    Pairs outside the pool have the distance `absent`: `value` and `slope` must be 0 there. It is infinite on the side
    where most losses vanish: minus infinity for positives, which cost more the farther they are, else infinity.

    Args:
        pool: "positives", "negatives" or "others".
        numbers: what the loss is made with, `constants` of its Triton form. Because torch operators take numbers and
            not objects, the engine makes a rule anew as `type(rule)(pool, *numbers, thresholds=thresholds)`.
        thresholds: `[N, T]`, numbers of each anchor.
    """

    needs_distance = True
    triton: str
    outputs: Sequence[Output] = ("number",)
    classes: ClassVar[dict[str, type[PairLoss]]] = {}

    def __init__(self, pool: Pool, *numbers: float, thresholds: Tensor | None = None) -> None:
        self.pool = pool
        self.absent = -torch.inf if pool == "positives" else torch.inf
        self.numbers = numbers
        self.constants = numbers
        self.thresholds = thresholds

    def __init_subclass__(cls) -> None:
        PairLoss.classes[cls.key()] = cls

    @classmethod
    def key(cls) -> str:
        """The name of the class for an operator."""
        return f"{cls.__module__}.{cls.__qualname__}"

    def value(self, distance: Tensor, thresholds: Tensor) -> Tensor:
        """What pairs at `distance` `[B, C]` add; `thresholds` `[B, T]`."""
        raise NotImplementedError

    def slope(self, distance: Tensor, thresholds: Tensor) -> Tensor:
        """Derivative of `value` by the distance, `[B, C]`."""
        raise NotImplementedError

    def init(self, rows: int, dtype: torch.dtype, device: torch.device) -> State:
        """Nothing added."""
        return (torch.zeros(rows, dtype=dtype, device=device),)

    def update(self, state: State, tile: Tile) -> State:
        """Add a tile."""
        return (state[0] + self.value(tile.distance, tile.thresholds).sum(dim=1),)

    def finish(self, state: State) -> tuple[Tensor, ...]:
        """The sums."""
        return state

    def weight(self, tile: Tile, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """Derivative of the loss by each distance of the tile, in memory of its own, `[B, C]`; 0 outside the pool.

        Args:
            tile: anchors against references.
            outputs: what `finish` returned for these anchors, `[B]` or `[B, width]` each.
            upstream: derivative of the loss by the first output, like it.
        """
        return self.slope(tile.distance, tile.thresholds).mul_(upstream[:, None])

    def threshold_weight(self, outputs: tuple[Tensor, ...], upstream: Tensor) -> Tensor:
        """Derivative of the loss by the thresholds, `[N, T]`; for rules whose thresholds come from embeddings."""
        assert self.thresholds is not None
        return torch.zeros_like(self.thresholds)

    def update_and_weigh(self, state: State, tile: Tile) -> tuple[State, Tensor]:
        """`update`, and `weight` where every first output counts once: for rules whose outputs do not matter to it."""
        return self.update(state, tile), self.weight(tile, (), torch.ones_like(state[0]))
