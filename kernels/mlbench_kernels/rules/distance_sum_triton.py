"""Sums of distances, Triton form of `distance_sum.py`."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing added."""
    return (tl.zeros((ROWS,), tl.float32),)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """Add a tile."""
    return (state[0] + tl.sum(tl.where(tl.abs(distance) < float("inf"), distance, 0.0), axis=1),)


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The sum."""
    return state


@triton.jit
def weight(distance, row, column, thresholds, output, upstream, CONSTANTS: tl.constexpr):
    """One in the pool."""
    return tl.where(tl.abs(distance) < float("inf"), upstream[:, None], 0.0)
