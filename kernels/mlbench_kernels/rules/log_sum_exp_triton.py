"""Logarithms of sums of exponentials, Triton form of `log_sum_exp.py`."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen: a finite exponent, so that differences from it are never NaN."""
    return tl.full((ROWS,), -3.0e38, tl.float32), tl.zeros((ROWS,), tl.float32)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """Add a tile."""
    exponent = distance * CONSTANTS[0]
    largest = tl.maximum(state[0], tl.max(exponent, axis=1))
    total = state[1] * tl.exp(state[0] - largest)
    return largest, total + tl.sum(tl.exp(exponent - largest[:, None]), axis=1)


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The logarithm."""
    return (tl.where(state[1] > 0, state[0] + tl.log(tl.maximum(state[1], 1e-38)), -float("inf")),)


@triton.jit
def weight(distance, row, column, thresholds, output, upstream, CONSTANTS: tl.constexpr):
    """The share of each pair in the sum."""
    shift = tl.where(output > -float("inf"), output, 0.0)  # an empty pool has no share to give
    return tl.exp(distance * CONSTANTS[0] - shift[:, None]) * (upstream * CONSTANTS[0])[:, None]
