"""The Triton engine: one program per block of anchors streams all references through registers.

Per tile: product with IEEE float32 accumulation, masks from labels and indices, then the rule. The rule's functions are
compile-time arguments and its state is a tuple of register tensors, so a rule costs what a hand-written kernel costs.
"""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

from __future__ import annotations

from importlib import import_module

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..rules.rule import Rule
from .problem import Problem

_ROWS, _COLUMNS, _DIMS = 64, 64, 32


@triton.jit
def _stream(
    x,  # [N, D]
    y,  # [M, D]
    bias,  # [M]
    labels,  # [N]
    reference_labels,  # [M]
    outputs,  # tuple of [N]
    N,
    M,
    D,
    SQUARE: tl.constexpr,
    INIT: tl.constexpr,
    UPDATE: tl.constexpr,
    FINISH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DIMS: tl.constexpr,
):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)  # [ROWS]
    k = tl.arange(0, DIMS)
    label = tl.load(labels + i, mask=i < N, other=0)
    state = INIT(ROWS)
    for first in range(0, M, COLUMNS):
        j = first + tl.arange(0, COLUMNS)  # [COLUMNS]
        product = tl.zeros((ROWS, COLUMNS), tl.float32)
        for d in range(0, D, DIMS):
            inside = d + k < D
            # int64: N * D may exceed 2^31
            a = tl.load(x + i[:, None].to(tl.int64) * D + d + k[None, :], (i < N)[:, None] & inside[None, :], 0.0)
            b = tl.load(y + j[:, None].to(tl.int64) * D + d + k[None, :], (j < M)[:, None] & inside[None, :], 0.0)
            product = tl.dot(a, tl.trans(b), product, input_precision="ieee")
        distance = tl.load(bias + j, mask=j < M, other=0.0)[None, :] - 2 * product  # [ROWS, COLUMNS]
        same = label[:, None] == tl.load(reference_labels + j, mask=j < M, other=0)[None, :]
        allowed = (j < M)[None, :] & (i < N)[:, None]
        positive = same & allowed
        if SQUARE:
            positive = positive & (i[:, None] != j[None, :])
        state = UPDATE(state, distance, positive, allowed & (same == 0), first)
    FINISH(state, outputs, i, i < N)


def run_triton(rule: Rule, problem: Problem) -> tuple[Tensor, ...]:
    """Run `rule` on the GPU of the problem's tensors (on the CPU under `TRITON_INTERPRET=1`)."""
    form = import_module(f"..rules.{rule.name}_triton", __package__)
    x, y, bias = (part.contiguous() for part in problem.factors(torch.float32))
    n, m = len(x), len(y)
    outputs = tuple(torch.empty(n, dtype=torch.int64, device=x.device) for _ in range(rule.outputs))
    _stream[(triton.cdiv(n, _ROWS),)](
        x, y, bias, problem.labels.contiguous(), problem.reference_labels.contiguous(), outputs, n, m, x.shape[1],
        SQUARE=problem.square, INIT=form.init, UPDATE=form.update, FINISH=form.finish,
        ROWS=_ROWS, COLUMNS=_COLUMNS, DIMS=_DIMS,
    )  # fmt: skip
    return outputs
