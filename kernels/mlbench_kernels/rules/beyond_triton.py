"""The nearest candidate beyond each threshold, Triton form of `beyond.py`: the same state, kept in registers."""

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
    """A strict comparison, so that the lower index stays where distances are equal."""
    if CONSTANTS[0]:
        distance = -distance
        thresholds = -thresholds
    best = state[0]  # [ROWS, WIDTH]
    index = state[1]
    slot = tl.arange(0, best.shape[1])[None, :]
    for t in range(0, CONSTANTS[1]):
        # A column of a register tensor cannot be indexed; the others count as absent.
        limit = tl.min(tl.where(slot == t, thresholds, float("inf")), axis=1)  # [ROWS]
        near, position = tl.min(
            tl.where(distance > limit[:, None], distance, float("inf")), axis=1, return_indices=True
        )
        better = (slot == t) & (near[:, None] < best)
        best = tl.where(better, near[:, None], best)
        index = tl.where(better, (position + first)[:, None], index)
    return best, index


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The position, -1 where nothing is beyond the threshold."""
    return (state[1],)
