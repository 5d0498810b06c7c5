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

# The kernel's D is a multiple of this, so that loads are 16 bytes wide for every D and there is one compiled form.
_ALIGNMENT = 16


@triton.jit(do_not_specialize=["N"])
def _stream(
    x,  # [N, D]
    y,  # [M, D]
    a,  # [N]
    b,  # [M]
    labels,  # [N]
    reference_labels,  # [M]
    index,  # [N], the caller's index of each row of x
    reference_index,  # [M]
    thresholds,  # [N, THRESHOLDS]
    starts,  # [programs], first reference of each program
    stops,  # [programs], end of its references
    outputs,  # tuple of [N] or [N, WIDTH]
    N,
    D,
    SQUARE: tl.constexpr,
    POOL: tl.constexpr,  # "positives", "negatives" or "others"
    UNIT: tl.constexpr,  # "order", or the distance that the rule asked for
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
    label = tl.load(labels + i, mask=i < N, other=0)
    row = tl.load(index + i, mask=i < N, other=-1)
    offset = tl.load(a + i, mask=i < N, other=0.0)
    limits = offset  # unused without thresholds
    if THRESHOLDS > 0:
        t = tl.arange(0, THRESHOLDS_BLOCK)
        given = (i < N)[:, None] & (t < THRESHOLDS)[None, :]
        # [ROWS, THRESHOLDS_BLOCK]; int64: N * THRESHOLDS may exceed 2^31
        limits = tl.load(thresholds + i[:, None].to(tl.int64) * THRESHOLDS + t[None, :], given, float("inf"))
    state = INIT(ROWS, WIDTH_BLOCK, CONSTANTS)
    stop = tl.load(stops + tl.program_id(0))
    for first in range(tl.load(starts + tl.program_id(0)), stop, COLUMNS):
        j = first + tl.arange(0, COLUMNS)  # [COLUMNS]
        distance = tl.zeros((ROWS, COLUMNS), tl.float32)
        for d in range(0, D, DIMS):
            inside = d + k < D
            # int64: N * D may exceed 2^31
            left = tl.load(x + i[:, None].to(tl.int64) * D + d + k[None, :], (i < N)[:, None] & inside[None, :], 0.0)
            right = tl.load(
                y + j[:, None].to(tl.int64) * D + d + k[None, :], (j < stop)[:, None] & inside[None, :], 0.0
            )
            distance = tl.dot(left, tl.trans(right), distance, input_precision=PRECISION)
        distance = distance + tl.load(b + j, mask=j < stop, other=0.0)[None, :] + offset[:, None]  # [ROWS, COLUMNS]
        if UNIT == "cosine":
            distance = distance + 1
        if UNIT == "euclidean":
            distance = tl.sqrt(tl.maximum(distance, 0.0))
        if UNIT == "squared-euclidean":
            distance = tl.maximum(distance, 0.0)
        column = tl.load(reference_index + j, mask=j < stop, other=-1)
        member = (j < stop)[None, :] & (i < N)[:, None]
        if POOL != "others":
            same = label[:, None] == tl.load(reference_labels + j, mask=j < stop, other=0)[None, :]
            member = member & (same if POOL == "positives" else same == 0)
        if SQUARE and POOL != "negatives":
            member = member & (row[:, None] != column[None, :])
        state = UPDATE(state, tl.where(member, distance, ABSENT), first, row, column, limits, CONSTANTS)
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
        tiling = device_tiling(device, precision, problem.anchors.shape[1], rule.width)
    layout = Layout(rule, problem)
    grid, arguments, options = launch(rule, problem, layout, precision, tiling)
    _stream[grid](*arguments, **options)
    return layout.restore(rule, arguments[11])


def launch(
    rule: Rule, problem: Problem, layout: Layout, precision: str, tiling: Tiling
) -> tuple[tuple[int], tuple[Any, ...], dict[str, Any]]:
    """Grid, arguments and options with which `_stream` runs `rule`; `aot` compiles exactly these."""
    form = import_module(rule.triton)
    x, y, a, b = _operands(problem, layout, precision)
    kinds = {"index": torch.int64, "count": torch.int64, "distance": torch.float32, "number": torch.float32}
    shape = (len(x), rule.width) if rule.width else (len(x),)
    outputs = tuple(torch.empty(shape, dtype=kinds[kind], device=x.device) for kind in rule.outputs)
    thresholds = layout.thresholds(rule, problem, torch.float32)
    starts, stops = layout.spans(tiling.rows)
    arguments = (
        x, y, a, b, layout.labels, layout.reference_labels, layout.index, layout.reference_index,
        thresholds, starts, stops, outputs, len(x), x.shape[1],
    )  # fmt: skip
    options = {
        "SQUARE": problem.square, "POOL": rule.pool, "ABSENT": rule.absent,
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


def _operands(problem: Problem, layout: Layout, precision: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`Problem.factors` in the type that the matrix units read, D filled up with zeros to the alignment."""
    x, y, a, b = layout.factors(problem, torch.float32)
    if precision == "bf16":
        x, y = x.bfloat16(), y.bfloat16()
        if problem.distance != "cosine":  # of the rounded rows: their distances to themselves are 0 again
            a, b = x.float().square().sum(dim=1) / 4, y.float().square().sum(dim=1)
    missing = -x.shape[1] % _ALIGNMENT
    x, y = (torch.nn.functional.pad(part, (0, missing)) if missing else part.contiguous() for part in (x, y))
    return x, y, a.contiguous(), b.contiguous()
