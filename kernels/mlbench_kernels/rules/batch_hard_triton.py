"""Batch-hard, Triton form of `batch_hard.py`: the same state, kept in registers."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr):
    """Nothing seen: the farthest positive at -inf, the nearest negative at inf."""
    far = tl.full((ROWS,), float("-inf"), tl.float32)
    near = tl.full((ROWS,), float("inf"), tl.float32)
    none = tl.full((ROWS,), -1, tl.int32)
    return far, none, near, none


@triton.jit
def merge(earlier, later):
    """Strict comparisons, so that the lower index stays where distances are equal."""
    farther = later[0] > earlier[0]
    nearer = later[2] < earlier[2]
    far = tl.where(farther, later[0], earlier[0])  # [ROWS]
    p = tl.where(farther, later[1], earlier[1])
    near = tl.where(nearer, later[2], earlier[2])
    n = tl.where(nearer, later[3], earlier[3])
    return far, p, near, n


@triton.jit
def update(state, distance, positive, negative, first):
    """Take in one tile `[ROWS, COLUMNS]` whose first reference has the index `first`."""
    far, p = tl.max(tl.where(positive, distance, float("-inf")), axis=1, return_indices=True)
    near, n = tl.min(tl.where(negative, distance, float("inf")), axis=1, return_indices=True)
    return merge(state, (far, p + first, near, n + first))


@triton.jit
def finish(state, outputs, row, mask):
    """Store the indices of the positive and of the negative."""
    tl.store(outputs[0] + row, state[1].to(tl.int64), mask=mask)
    tl.store(outputs[1] + row, state[3].to(tl.int64), mask=mask)
