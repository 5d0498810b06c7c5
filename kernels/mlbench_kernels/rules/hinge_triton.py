"""Hinges of single pairs, Triton form of `hinge.py`."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen."""
    return tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.int32)


@triton.jit
def _excess(distance, CONSTANTS: tl.constexpr):
    return distance - CONSTANTS[0] if CONSTANTS[1] else CONSTANTS[0] - distance


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """Add a tile."""
    excess = _excess(distance, CONSTANTS)
    total = state[0] + tl.sum(tl.maximum(excess, 0.0), axis=1)
    return total, state[1] + tl.sum((excess > 0).to(tl.int32), axis=1)


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """Sum and count."""
    return state


@triton.jit
def weight(distance, row, column, thresholds, output, upstream, CONSTANTS: tl.constexpr):
    """One where the hinge is open, with its sign."""
    signed = upstream if CONSTANTS[1] else -upstream
    return tl.where(_excess(distance, CONSTANTS) > 0, signed[:, None], 0.0)
