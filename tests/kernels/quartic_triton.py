"""The Triton form of `quartic.py`."""

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    return (tl.zeros((ROWS,), tl.float32),)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    gap = tl.maximum(CONSTANTS[0] - distance, 0.0)
    return (state[0] + tl.sum(gap * gap * gap * gap, axis=1),)


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    return state


@triton.jit
def weight(distance, row, column, thresholds, output, upstream, CONSTANTS: tl.constexpr):
    gap = tl.maximum(CONSTANTS[0] - distance, 0.0)
    return -4 * gap * gap * gap * upstream[:, None]
