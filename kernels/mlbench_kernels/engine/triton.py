"""The Triton engine: one program per block of anchors streams the references through registers.

Per tile: product with float32 accumulation, the pool from labels and indices, then the rule. The rule's functions are
compile-time arguments and its state is a tuple of register tensors, so a rule costs what a hand-written kernel costs.
For positives both sides are sorted by label first, and a program streams only the references of its own labels.
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

from ..rules.rule import Rule
from ..tuning import INTERPRETER, Tiling, device_tiling
from .layout import Layout
from .problem import Problem


@triton.jit(do_not_specialize=["N", "M"])
def _stream(
    x,  # [N, D]
    y,  # [M, D]
    a,  # [N]
    b,  # [tiles, COLUMNS], ABSENT behind the last reference
    codes,  # [N], int32: equal where labels are, -1 where no reference has the label
    reference_codes,  # [tiles, COLUMNS]
    lows,  # [tiles], smallest reference code
    highs,  # [tiles], largest reference code
    index,  # [N], int32, the caller's index of each row of x
    reference_index,  # [tiles, COLUMNS]
    thresholds,  # [N, THRESHOLDS]
    starts,  # [programs], first tile of each program
    stops,  # [programs], end of its tiles
    outputs,  # tuple of [N] or [N, WIDTH]
    N,
    M,
    D,  # a multiple of DIMS
    SQUARE: tl.constexpr,  # whether an anchor would meet itself
    POOL: tl.constexpr,  # "positives", "negatives" or "others"
    UNIT: tl.constexpr,  # "order", or the distance that the rule asked for
    OFFSET: tl.constexpr,  # whether a matters: it is the same for all references of an anchor
    ABSENT: tl.constexpr,
    THRESHOLDS: tl.constexpr,
    WIDTH: tl.constexpr,
    THRESHOLDS_BLOCK: tl.constexpr,  # the next power of two
    WIDTH_BLOCK: tl.constexpr,
    CONSTANTS: tl.constexpr,
    INIT: tl.constexpr,
    UPDATE: tl.constexpr,
    FINISH: tl.constexpr,
    OUTPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DIMS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)  # [ROWS]
    k = tl.arange(0, DIMS)
    tl.assume(D >= DIMS)  # the first step need not wait for zeros
    # Rows behind the last one repeat it and are not stored: no load of theirs needs a mask.
    anchor = tl.minimum(i, N - 1)
    code = tl.load(codes + anchor)
    row = tl.load(index + anchor)
    offset = tl.load(a + anchor)
    limits = offset  # unused without thresholds
    if THRESHOLDS > 0:
        t = tl.arange(0, THRESHOLDS_BLOCK)
        # [ROWS, THRESHOLDS_BLOCK]; int64: N * THRESHOLDS may exceed 2^31
        limits = tl.load(
            thresholds + anchor[:, None].to(tl.int64) * THRESHOLDS + t[None, :], (t < THRESHOLDS)[None, :], float("inf")
        )
    left = x + anchor[:, None].to(tl.int64) * D + k[None, :]  # int64: N * D may exceed 2^31
    low = tl.min(tl.where(code < 0, M, code), axis=0)
    high = tl.max(code, axis=0)
    state = INIT(ROWS, WIDTH_BLOCK, CONSTANTS)
    for tile in range(tl.load(starts + tl.program_id(0)), tl.load(stops + tl.program_id(0))):
        first = tile * COLUMNS
        j = first + tl.arange(0, COLUMNS)  # [COLUMNS]
        right = y + tl.minimum(j, M - 1)[:, None].to(tl.int64) * D + k[None, :]
        distance = tl.zeros((ROWS, COLUMNS), tl.float32)
        for d in range(0, D, DIMS):
            distance = tl.dot(tl.load(left + d), tl.trans(tl.load(right + d)), distance, input_precision=PRECISION)
        # Behind the last reference b is infinite, and so is whatever is added to it.
        distance = distance + tl.load(b + j)[None, :]
        if OFFSET:
            distance = distance + offset[:, None]
        if UNIT == "cosine":
            distance = distance + 1
        if UNIT == "euclidean":
            distance = tl.sqrt(tl.maximum(distance, 0.0))
        if UNIT == "squared-euclidean":
            distance = tl.maximum(distance, 0.0)
        if UNIT != "order" and UNIT != "cosine" and ABSENT < 0:  # minus infinity did not survive
            distance = tl.where((j < M)[None, :], distance, ABSENT)
        if POOL == "positives":
            same = code[:, None] == tl.load(reference_codes + j)[None, :]
            distance = tl.where(same, distance, ABSENT)
        if POOL == "negatives":
            # In a batch that comes by label, few tiles hold a positive.
            if (tl.load(lows + tile) <= high) & (tl.load(highs + tile) >= low):
                same = code[:, None] == tl.load(reference_codes + j)[None, :]
                distance = tl.where(same, ABSENT, distance)
        if SQUARE:
            distance = tl.where(i[:, None] == j[None, :], ABSENT, distance)
        state = UPDATE(state, distance, first, row, tl.load(reference_index + j), limits, CONSTANTS)
    results = FINISH(state, CONSTANTS)
    for o in tl.static_range(OUTPUTS):
        result = results[o].to(outputs[o].dtype.element_ty)
        if WIDTH == 0:
            tl.store(outputs[o] + i, result, mask=i < N)
        else:
            w = tl.arange(0, WIDTH_BLOCK)
            place = i[:, None].to(tl.int64) * WIDTH + w[None, :]
            tl.store(outputs[o] + place, result, mask=(i < N)[:, None] & (w < WIDTH)[None, :])


def run_triton(rule: Rule, problem: Problem, precision: str) -> tuple[Tensor, ...]:
    """Run `rule` on the GPU of the problem's tensors (on the CPU under `TRITON_INTERPRET=1`)."""
    device = problem.anchors.device
    tiling = INTERPRETER
    if device.type == "cuda":
        tiling = device_tiling(device, precision, problem.anchors.shape[1], kept(rule))
    layout = Layout(rule, problem)
    grid, arguments, options = launch(rule, problem, layout, precision, tiling)
    _stream[grid](*arguments, **options)
    return layout.restore(rule, arguments[13])


def kept(rule: Rule) -> int:
    """Numbers that a rule keeps of each anchor beside plain ones: its width, or that of its thresholds."""
    return rule.width or (0 if rule.thresholds is None else rule.thresholds.shape[1])


def launch(
    rule: Rule, problem: Problem, layout: Layout, precision: str, tiling: Tiling
) -> tuple[tuple[int], tuple[Any, ...], dict[str, Any]]:
    """Grid, arguments and options with which `_stream` runs `rule`; `aot` compiles exactly these."""
    form = import_module(rule.triton)
    x, y, a, b = _operands(problem, layout, precision, tiling.dims)
    kinds = {"index": torch.int64, "count": torch.int64, "distance": torch.float32, "number": torch.float32}
    shape = (len(x), rule.width) if rule.width else (len(x),)
    outputs = tuple(torch.empty(shape, dtype=kinds[kind], device=x.device) for kind in rule.outputs)
    thresholds = layout.thresholds(rule, problem, torch.float32)
    codes, reference_codes = layout.codes(problem)
    reference_codes = _fill(reference_codes, tiling.columns, -2)
    tiles = reference_codes.view(-1, tiling.columns)
    starts, stops = layout.spans(tiling.rows)
    arguments = (
        x, y, a, _fill(b, tiling.columns, rule.absent), codes, reference_codes,
        tiles.amin(dim=1), tiles.amax(dim=1),
        layout.index.int(), _fill(layout.reference_index.int(), tiling.columns, -1), thresholds,
        starts // tiling.columns, (stops + tiling.columns - 1) // tiling.columns, outputs,
        len(x), len(y), x.shape[1],
    )  # fmt: skip
    options = {
        "SQUARE": problem.square and rule.pool != "negatives", "POOL": rule.pool, "ABSENT": rule.absent,
        "OFFSET": rule.needs_distance or rule.thresholds is not None or set(rule.outputs) != {"index"},
        "UNIT": problem.distance if rule.needs_distance else "order",
        "THRESHOLDS": thresholds.shape[1], "THRESHOLDS_BLOCK": triton.next_power_of_2(max(1, thresholds.shape[1])),
        "WIDTH": rule.width, "WIDTH_BLOCK": triton.next_power_of_2(max(1, rule.width)),
        "CONSTANTS": rule.constants, "INIT": form.init, "UPDATE": form.update, "FINISH": form.finish,
        "OUTPUTS": len(outputs), "ROWS": tiling.rows, "COLUMNS": tiling.columns, "DIMS": tiling.dims,
        # bfloat16 operands have a single exact product; the name is for float32 operands.
        "PRECISION": "ieee" if precision == "bf16" else precision,
        "num_warps": tiling.warps, "num_stages": tiling.stages,
        # Triton 3.10 turns this off by default.
        "enable_fp_fusion": True,
    }  # fmt: skip
    return (triton.cdiv(len(x), tiling.rows),), arguments, options


def _fill(values: Tensor, size: int, filler: float) -> Tensor:
    """`values` `[M]` and fillers up to a multiple of `size`."""
    return torch.nn.functional.pad(values, (0, -len(values) % size), value=filler)


def _operands(problem: Problem, layout: Layout, precision: str, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`Problem.factors` in the type that the matrix units read, D filled up with zeros to a multiple of `step`."""
    x, y, a, b = layout.factors(problem, torch.float32)
    if precision == "bf16":
        x, y = x.bfloat16(), y.bfloat16()
        if problem.distance != "cosine":  # of the rounded rows: their distances to themselves are 0 again
            a, b = x.float().square().sum(dim=1) / 4, y.float().square().sum(dim=1)
    missing = -x.shape[1] % step
    x, y = (torch.nn.functional.pad(part, (0, missing)) if missing else part.contiguous() for part in (x, y))
    return x, y, a.contiguous(), b.contiguous()
