"""Distance-weighted sampling, Triton form of `distance_weighted.py`: the same hash, race and state, in registers."""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def _mix(values):
    """`noise.mix` on uint32."""
    values = values ^ (values >> 16)
    values = values * 0x85EBCA6B
    values = values ^ (values >> 13)
    values = values * 0xC2B2AE35
    return values ^ (values >> 16)


@triton.jit
def _log_exponential(whole):
    """The logarithm of an exponential number, of a uniform uint32."""
    chance = whole.to(tl.int32, bitcast=True).to(tl.float32) * 2.3283064365386963e-10
    chance = tl.where(chance < 0, chance + 1.0, chance) + 1.1641532182693481e-10
    chance = tl.minimum(tl.maximum(chance, 1.1641532182693481e-10), 0.99999994)
    # There is no log1p: its series, where 1 - chance would lose digits.
    small = chance * (1.0 + chance * (0.5 + chance * 0.3333333333333333))
    return tl.log(tl.where(chance < 0.0078125, small, -tl.log(1.0 - chance)))


@triton.jit
def init(ROWS: tl.constexpr, WIDTH: tl.constexpr, CONSTANTS: tl.constexpr):
    """Nothing seen."""
    return tl.full((ROWS, WIDTH), float("-inf"), tl.float32), tl.full((ROWS, WIDTH), -1, tl.int32)


@triton.jit
def update(state, distance, first, row, column, thresholds, CONSTANTS: tl.constexpr):
    """Let the tile's references race for every draw; the lower index stays where keys are equal."""
    square = tl.maximum(2.0 * distance, CONSTANTS[1])
    inside = square < CONSTANTS[2]
    left = tl.where(inside, 1.0 - 0.25 * square, 1.0)
    weight = tl.where(inside, CONSTANTS[3] * tl.log(square) + CONSTANTS[4] * tl.log(left), float("-inf"))
    hashed = _mix(column.to(tl.uint32, bitcast=True))[None, :]
    spread = row.to(tl.uint32, bitcast=True) * 0x9E3779B9
    best = state[0]  # [ROWS, WIDTH]
    index = state[1]
    slot = tl.arange(0, best.shape[1])[None, :]
    for t in range(0, CONSTANTS[0]):
        # A column of a register tensor cannot be indexed; keys are at least 0.
        key = tl.max(tl.where(slot == t, thresholds, 0.0), axis=1)  # [ROWS]
        own = _mix(key.to(tl.int32).to(tl.uint32, bitcast=True) ^ spread)
        value, place = tl.max(weight - _log_exponential(_mix(own[:, None] ^ hashed)), axis=1, return_indices=True)
        better = (slot == t) & (value[:, None] > best)
        best = tl.where(better, value[:, None], best)
        index = tl.where(better, (place + first)[:, None], index)
    return best, index


@triton.jit
def finish(state, CONSTANTS: tl.constexpr):
    """The positions drawn, -1 where no reference has a weight."""
    return (state[1],)
