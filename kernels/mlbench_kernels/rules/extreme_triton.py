"""The nearest or the farthest of a pool, Triton form of `extreme.py`: the same state, kept in registers."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen."""
    return tl.full((ROWS,), float("inf"), tl.float32), tl.full((ROWS,), -1, tl.int32)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """A strict comparison, so that the lower index stays where distances are equal."""
    if CONSTANTS[0]:
        distance = -distance
    best, position = tl.min(distance, axis=1, return_indices=True)  # [ROWS]
    better = best < state[0]
    return tl.where(better, best, state[0]), tl.where(better, position + first, state[1])


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The position, -1 in an empty pool."""
    return (state[1],)
