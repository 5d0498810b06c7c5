"""The k nearest or farthest of a pool, Triton form of `top_k.py`: the same state, kept in registers."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen."""
    return tl.full((ROWS, WIDTH), float("inf"), tl.float32), tl.full((ROWS, WIDTH), -1, tl.int32)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """Move the nearest of the tile into the state until no row gains: at most k times, mostly not at all."""
    if CONSTANTS[0]:
        distance = -distance
    best = state[0]  # [ROWS, WIDTH], ascending
    index = state[1]
    slot = tl.arange(0, best.shape[1])[None, :]
    place = tl.arange(0, distance.shape[1])[None, :]
    inf = float("inf")
    worst = tl.min(tl.where(slot == CONSTANTS[1] - 1, best, inf), axis=1)  # [ROWS]
    near, position = tl.min(distance, axis=1, return_indices=True)
    gains = tl.max((near < worst).to(tl.int32), axis=0)
    while gains > 0:
        # Equal distances stay before the new one: their positions are lower.
        rank = tl.sum((best <= near[:, None]).to(tl.int32), axis=1)[:, None]  # [ROWS, 1]
        before = tl.where(slot > 0, slot - 1, 0) + tl.zeros_like(index)
        best = tl.where(slot < rank, best, tl.where(slot == rank, near[:, None], tl.gather(best, before, 1)))
        index = tl.where(
            slot < rank, index, tl.where(slot == rank, (position + first)[:, None], tl.gather(index, before, 1))
        )
        distance = tl.where(place == position[:, None], inf, distance)
        worst = tl.min(tl.where(slot == CONSTANTS[1] - 1, best, inf), axis=1)
        near, position = tl.min(distance, axis=1, return_indices=True)
        gains = tl.max((near < worst).to(tl.int32), axis=0)
    return best, index


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The positions, nearest (farthest) first; -1 where the pool has fewer than k."""
    return (state[1],)
