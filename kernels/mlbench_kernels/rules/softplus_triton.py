"""Each positive against all negatives at once, Triton form of `softplus.py`."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen."""
    return tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.float32)


@triton.jit
def _exponent(distance, thresholds, CONSTANTS: tl.constexpr):
    limit = tl.min(thresholds, axis=1)  # one column: a register tensor cannot be indexed
    return limit[:, None] + CONSTANTS[0] * distance


@triton.jit
def _sigmoid(exponent):
    small = tl.exp(-tl.abs(exponent))  # of an exponent that cannot overflow
    return tl.where(exponent > 0, 1.0, small) / (1.0 + small)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """Add a tile."""
    exponent = _exponent(distance, thresholds, CONSTANTS)
    cost = tl.maximum(exponent, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(exponent)))
    return state[0] + tl.sum(cost, axis=1), state[1] + tl.sum(_sigmoid(exponent), axis=1)


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """Sums of costs and of derivatives."""
    return state


@triton.jit
def weight(distance, row, column, thresholds, output, upstream, CONSTANTS: tl.constexpr):
    """Derivative by the distance."""
    return _sigmoid(_exponent(distance, thresholds, CONSTANTS)) * (upstream * CONSTANTS[0])[:, None]
