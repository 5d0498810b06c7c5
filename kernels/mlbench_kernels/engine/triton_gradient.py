"""The gradient pass of the Triton engine: one program per block of rows streams the other side and stores its sum once.

Per tile: the product, the distances, what the rule says each of them is worth, and a second product with the rows of
the other side, summed in registers. In the square form a pair counts in both directions at once, so a single pass
serves; otherwise a second one goes with the sides exchanged. No program adds to what another one stores: the bits are
the same every time.
"""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..rules.pair_loss import PairLoss
from ..tuning import gradient_tiling
from .layout import Layout
from .problem import Problem

_ALIGNMENT = 32  # D is a multiple of every step of the product


@triton.jit(do_not_specialize=["N", "M"])
def _gradient(
    x,  # [N, D], the rows whose derivatives are wanted
    y,  # [M, D]
    x_square,  # [N], |x|^2
    y_square,  # [M]
    x_codes,  # [N], int32: equal where labels are
    y_codes,  # [M]
    x_index,  # [N], int32, the caller's indices
    y_index,  # [M]
    x_saved,  # (thresholds [N, THRESHOLDS], output [N], upstream [N])
    y_saved,  # the same of y
    starts,  # [programs], first tile of each program
    stops,  # [programs], end of its tiles
    gradient,  # [N, D]
    N,
    M,
    D,  # a multiple of DIMS
    FORWARD: tl.constexpr,  # whether x are anchors of y
    BACKWARD: tl.constexpr,  # whether y are anchors of x
    POOL: tl.constexpr,  # "positives", "negatives" or "others"
    UNIT: tl.constexpr,  # the distance
    ABSENT: tl.constexpr,
    THRESHOLDS: tl.constexpr,
    THRESHOLDS_BLOCK: tl.constexpr,  # the next power of two
    CONSTANTS: tl.constexpr,
    WEIGHT: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DIMS: tl.constexpr,
    CHUNK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)  # [ROWS]
    k = tl.arange(0, DIMS)
    chunk = tl.program_id(1) * CHUNK + tl.arange(0, CHUNK)
    tl.assume(D >= DIMS)
    own = tl.minimum(i, N - 1)  # rows behind the last one repeat it and are not stored
    code = tl.load(x_codes + own)
    row = tl.load(x_index + own)
    square = tl.load(x_square + own)
    limits, output, upstream = _saved(x_saved, own, THRESHOLDS, THRESHOLDS_BLOCK)
    left = x + own[:, None].to(tl.int64) * D + k[None, :]  # int64: N * D may exceed 2^31
    total = tl.zeros((ROWS, CHUNK), tl.float32)
    weights = tl.zeros((ROWS,), tl.float32)
    for tile in range(tl.load(starts + tl.program_id(0)), tl.load(stops + tl.program_id(0))):
        j = tile * COLUMNS + tl.arange(0, COLUMNS)  # [COLUMNS]
        other = tl.minimum(j, M - 1)
        right = y + other[:, None].to(tl.int64) * D
        distance = tl.zeros((ROWS, COLUMNS), tl.float32)
        for d in range(0, D, DIMS):
            near = tl.load(right + k[None, :] + d)
            distance = tl.dot(tl.load(left + d), tl.trans(near), distance, input_precision=PRECISION)
        if UNIT == "cosine":
            distance = 1 - distance
        else:
            distance = tl.maximum(square[:, None] + tl.load(y_square + other)[None, :] - 2 * distance, 0.0)
        if UNIT == "euclidean":
            distance = tl.sqrt(distance)
        member = (j < M)[None, :] & (i < N)[:, None]
        if POOL != "others":
            same = code[:, None] == tl.load(y_codes + other)[None, :]
            member = member & (same if POOL == "positives" else same == 0)
        if FORWARD and BACKWARD and POOL != "negatives":
            member = member & (i[:, None] != j[None, :])
        distance = tl.where(member, distance, ABSENT)
        column = tl.load(y_index + other)
        half = tl.zeros((ROWS, COLUMNS), tl.float32)
        if FORWARD:
            half += WEIGHT(distance, row, column, limits, output, upstream, CONSTANTS)
        if BACKWARD:
            far_limits, far_output, far_upstream = _saved(y_saved, other, THRESHOLDS, THRESHOLDS_BLOCK)
            turned = WEIGHT(tl.trans(distance), column, row, far_limits, far_output, far_upstream, CONSTANTS)
            half += tl.trans(turned)
        # By half the squared distance; rows that are equal have no direction.
        if UNIT == "euclidean":
            half = tl.where(distance > 0, half / distance, 0.0)
        if UNIT == "squared-euclidean":
            half = 2 * half
        there = tl.load(right + chunk[None, :], (chunk < D)[None, :], 0.0)
        half = half.to(there.dtype)
        total = tl.dot(half, there, total, input_precision=PRECISION)
        weights += tl.sum(half.to(tl.float32), axis=1)
    place = own[:, None].to(tl.int64) * D + chunk[None, :]
    inside = (i < N)[:, None] & (chunk < D)[None, :]
    if UNIT == "cosine":  # rows of one norm: along the row itself there is no derivative
        tl.store(gradient + place, -total, inside)
    else:
        here = tl.load(x + place, inside, 0.0).to(tl.float32)
        tl.store(gradient + place, weights[:, None] * here - total, inside)


@triton.jit
def _saved(saved, rows, THRESHOLDS: tl.constexpr, THRESHOLDS_BLOCK: tl.constexpr):
    """What the forward pass left of anchors: thresholds `[B, THRESHOLDS_BLOCK]`, output and upstream `[B]`."""
    limits = tl.load(saved[1] + rows)
    if THRESHOLDS > 0:
        t = tl.arange(0, THRESHOLDS_BLOCK)
        # int64: N * THRESHOLDS may exceed 2^31
        place = rows[:, None].to(tl.int64) * THRESHOLDS + t[None, :]
        limits = tl.load(saved[0] + place, (t < THRESHOLDS)[None, :], float("inf"))
    return limits, tl.load(saved[1] + rows), tl.load(saved[2] + rows)


def triton_gradient(
    rule: PairLoss, problem: Problem, outputs: tuple[Tensor, ...], upstream: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    """Derivatives by anchors and references; for cosine by the normalised rows. See `run_gradient`."""
    saved = _saved_of(rule, outputs, upstream)
    if problem.square:
        dx = _run(rule, problem, saved, True, True, precision)
        return dx, dx[:0]
    turned = Problem(
        problem.references, problem.reference_labels, problem.anchors, problem.labels, False, problem.distance
    )
    return _run(rule, problem, saved, True, False, precision), _run(rule, turned, saved, False, True, precision)


def _saved_of(rule: PairLoss, outputs: tuple[Tensor, ...], upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thresholds `[N, T]`, and of the first output and its derivative a column `[N]`: a wide one has equal columns."""
    limits = upstream.new_empty(len(upstream), 0) if rule.thresholds is None else rule.thresholds
    first, upstream = (part if part.ndim == 1 else part[:, 0] for part in (outputs[0], upstream))
    return limits.float(), first.float(), upstream.float()


def _run(
    rule: PairLoss, problem: Problem, saved: tuple[Tensor, ...], forward: bool, backward: bool, precision: str
) -> Tensor:
    layout = Layout(rule, problem)
    grid, arguments, options = launch(rule, problem, layout, saved, forward, backward, precision)
    _gradient[grid](*arguments, **options)
    result = arguments[12][:, : problem.anchors.shape[1]]
    return torch.empty_like(result).index_copy_(0, layout.index, result)


def launch(
    rule: PairLoss,
    problem: Problem,
    layout: Layout,
    saved: tuple[Tensor, ...],
    forward: bool,
    backward: bool,
    precision: str,
) -> tuple[tuple[int, int], tuple[Any, ...], dict[str, Any]]:
    """Grid, arguments and options with which `_gradient` runs; `aot` compiles exactly these."""
    x, y = _rows(problem, layout, precision)
    codes, reference_codes = layout.codes(problem)
    tiling, chunk = gradient_tiling(precision)
    starts, stops = layout.spans(tiling.rows)
    anchors = tuple(part[layout.index].contiguous() for part in saved) if forward else saved
    others = tuple(part[layout.reference_index].contiguous() for part in saved) if backward else saved
    arguments = (
        x, y, x.float().square().sum(dim=1), y.float().square().sum(dim=1), codes, reference_codes,
        layout.index.int(), layout.reference_index.int(), anchors, others,
        starts // tiling.columns, (stops + tiling.columns - 1) // tiling.columns,
        torch.empty_like(x, dtype=torch.float32), len(x), len(y), x.shape[1],
    )  # fmt: skip
    chunk = min(chunk, triton.next_power_of_2(x.shape[1]))
    width = saved[0].shape[1]
    options = {
        "FORWARD": forward, "BACKWARD": backward, "POOL": rule.pool, "UNIT": problem.distance, "ABSENT": rule.absent,
        "THRESHOLDS": width, "THRESHOLDS_BLOCK": triton.next_power_of_2(max(1, width)),
        "CONSTANTS": rule.constants, "WEIGHT": import_module(rule.triton).weight,
        "ROWS": tiling.rows, "COLUMNS": tiling.columns, "DIMS": tiling.dims, "CHUNK": chunk,
        # bfloat16 operands have a single exact product; the name is for float32 operands.
        "PRECISION": "ieee" if precision == "bf16" else precision,
        "num_warps": tiling.warps, "num_stages": tiling.stages,
        # Triton 3.10 turns this off by default.
        "enable_fp_fusion": True,
    }  # fmt: skip
    return (triton.cdiv(len(x), tiling.rows), triton.cdiv(x.shape[1], chunk)), arguments, options


def _rows(problem: Problem, layout: Layout, precision: str) -> tuple[Tensor, Tensor]:
    """Rows by position, centred or normalised, D filled up with zeros to a multiple of a step of the product."""
    x, y, _, _ = layout.factors(problem, torch.float32)
    # The factors of anchors, see `Problem.factors`, are -1 or -2 times their rows.
    x = -x if problem.distance == "cosine" else x * -0.5
    missing = -x.shape[1] % _ALIGNMENT
    narrow = torch.bfloat16 if precision == "bf16" else torch.float32
    x, y = (torch.nn.functional.pad(part, (0, missing)).to(narrow).contiguous() for part in (x, y))
    return x, y
