"""How many candidates are nearer than each threshold, Triton form of `nearer.py`: the same state, in registers."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing counted."""
    return (tl.zeros((ROWS, WIDTH), tl.int32),)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """One look at the tile per threshold."""
    count = state[0]  # [ROWS, WIDTH]
    slot = tl.arange(0, count.shape[1])[None, :]
    for t in range(0, CONSTANTS[0]):
        # A column of a register tensor cannot be indexed; the maximum takes -inf for NaN.
        limit = tl.max(tl.where(slot == t, thresholds, float("-inf")), axis=1)  # [ROWS]
        nearer = tl.sum((distance < limit[:, None]).to(tl.int32), axis=1)
        count += tl.where(slot == t, nearer[:, None], 0)
    return (count,)


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The counts."""
    return (state[0],)
