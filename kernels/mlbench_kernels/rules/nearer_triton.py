"""How many of a pool are nearer than each threshold, Triton form of `nearer.py`: the same state, kept in registers."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen."""
    return (tl.zeros((ROWS, WIDTH), tl.int32),)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """One look at the tile per threshold; a tile with nothing below the largest is looked at once."""
    count = state[0]  # [ROWS, WIDTH]
    slot = tl.arange(0, count.shape[1])[None, :]
    given = (slot < CONSTANTS[0]) & (thresholds == thresholds)
    farthest = tl.max(tl.where(given, thresholds, float("-inf")), axis=1)  # [ROWS]
    if tl.max((tl.min(distance, axis=1) < farthest).to(tl.int32), axis=0) > 0:
        for t in range(0, CONSTANTS[0]):
            # A column of a register tensor cannot be indexed; the others count as absent.
            limit = tl.max(tl.where(given & (slot == t), thresholds, float("-inf")), axis=1)
            below = tl.sum((distance < limit[:, None]).to(tl.int32), axis=1)  # [ROWS]
            count += tl.where(slot == t, below[:, None], 0)
    return (count,)


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The counts."""
    return state
