"""All triplets of an anchor, Triton form of `triplets.py`: a loop over the positives, whose number is small."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen."""
    return tl.zeros((ROWS, WIDTH), tl.float32), tl.zeros((ROWS, WIDTH), tl.int32)


@triton.jit
def _open(distance, thresholds, k, CONSTANTS: tl.constexpr):
    """How far each hinge of the positive k is open, and whether."""
    slot = tl.arange(0, thresholds.shape[1])[None, :]
    # A column of a register tensor cannot be indexed. Infinite are those that do not exist.
    limit = tl.max(tl.where((slot == k) & (thresholds < float("inf")), thresholds, -float("inf")), axis=1)
    gap = (limit + CONSTANTS[0])[:, None] - distance
    counts = gap > 0
    if CONSTANTS[1] != 0:
        counts = counts & (distance > (limit * (1 + 4 * 1.1920929e-07))[:, None])
    return tl.where(counts, gap, 0.0), counts


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """Add a tile."""
    total = state[0]  # [ROWS, WIDTH]
    count = state[1]
    slot = tl.arange(0, total.shape[1])[None, :]
    for k in range(0, total.shape[1]):
        gap, counts = _open(distance, thresholds, k, CONSTANTS)
        total += tl.where(slot == k, tl.sum(gap, axis=1)[:, None], 0.0)
        count += tl.where(slot == k, tl.sum(counts.to(tl.int32), axis=1)[:, None], 0)
    return total, count


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """Sums and counts."""
    return state


@triton.jit
def weight(distance, row, column, thresholds, output, upstream, CONSTANTS: tl.constexpr):
    """Minus the number of positives that a negative meets."""
    met = tl.zeros(distance.shape, tl.float32)
    for k in range(0, thresholds.shape[1]):
        _gap, counts = _open(distance, thresholds, k, CONSTANTS)
        met += counts.to(tl.float32)
    return -met * upstream[:, None]
