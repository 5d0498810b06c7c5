"""The Triton form of `crowd.py`."""

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    none = tl.zeros((ROWS,), tl.int32)
    return none, tl.full((ROWS,), float("inf"), tl.float32), none - 1


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    count = state[0] + tl.sum((distance < thresholds).to(tl.int32), axis=1)
    value, place = tl.min(distance, axis=1, return_indices=True)
    nearer = value < state[1]
    return count, tl.where(nearer, value, state[1]), tl.where(nearer, place + first, state[2])


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    return state[0], state[2]
