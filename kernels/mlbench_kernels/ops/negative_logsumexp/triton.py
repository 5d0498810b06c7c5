"""The same on a GPU: programs own a block of rows and stream a share of the other side, without atomic additions.

A softmax over 100,000 classes has few rows and many columns, so the columns are cut into `splits` shares whose partial
results are added afterwards, in order: the same bits every time. One gradient kernel serves both sides, with the roles
swapped.
"""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...tuning import Tiling

TILING = Tiling(64, 64, 32, 4, 3)
_WIDTH = 128  # dimensions of the gradient that one program accumulates
_PROGRAMS = 528  # four for each multiprocessor of the largest GPU known
_ALIGNMENT = 16  # D is a multiple of it: loads are 16 bytes wide


@triton.jit
def _products(x, y, i, j, N, M, D, DIMS: tl.constexpr, PRECISION: tl.constexpr):
    """Products `[ROWS, COLUMNS]` of the rows `i` of x and the rows `j` of y."""
    k = tl.arange(0, DIMS)
    tile = tl.zeros((i.shape[0], j.shape[0]), tl.float32)
    for d in range(0, D, DIMS):
        inside = (d + k < D)[None, :]
        # int64: N * D may exceed 2^31
        left = tl.load(x + i[:, None].to(tl.int64) * D + d + k[None, :], (i < N)[:, None] & inside, 0.0)
        right = tl.load(y + j[:, None].to(tl.int64) * D + d + k[None, :], (j < M)[:, None] & inside, 0.0)
        tile = tl.dot(left, tl.trans(right), tile, input_precision=PRECISION)
    return tile


@triton.jit(do_not_specialize=["N", "M", "SHARE"])
def _forward(
    x,  # [N, D]
    y,  # [M, D]
    x_labels,  # [N]
    y_labels,  # [M]
    largest,  # [splits, N]
    total,  # [splits, N]
    N,
    M,
    D,
    SHARE,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DIMS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)  # [ROWS]
    label = tl.load(x_labels + i, mask=i < N, other=0)
    maximum = tl.full((ROWS,), float("-inf"), tl.float32)
    sums = tl.zeros((ROWS,), tl.float32)
    start = tl.program_id(1) * SHARE
    for first in range(start, tl.minimum(start + SHARE, M), COLUMNS):
        j = first + tl.arange(0, COLUMNS)  # [COLUMNS]
        tile = _products(x, y, i, j, N, M, D, DIMS, PRECISION)
        other = tl.load(y_labels + j, mask=j < M, other=0)[None, :] != label[:, None]
        tile = tl.where(other & (j < M)[None, :], tile, float("-inf"))
        now = tl.maximum(maximum, tl.max(tile, axis=1))
        safe = tl.where(now == float("-inf"), 0.0, now)  # exp(-inf) = 0 of the excluded pairs, never -inf + inf
        sums = sums * tl.exp(maximum - safe) + tl.sum(tl.exp(tile - safe[:, None]), axis=1)
        maximum = now
    place = tl.program_id(1).to(tl.int64) * N + i
    tl.store(largest + place, maximum, mask=i < N)
    tl.store(total + place, sums, mask=i < N)


@triton.jit(do_not_specialize=["N", "M", "SHARE"])
def _gradient(
    x,  # [N, D], the side whose gradient this is
    y,  # [M, D]
    x_labels,  # [N]
    y_labels,  # [M]
    result,  # [N] or [M], the operator's output
    gradient,  # likewise, of that output
    out,  # [splits, N, D]
    N,
    M,
    D,
    SHARE,
    BY_ROW: tl.constexpr,  # whether the output belongs to x
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DIMS: tl.constexpr,
    WIDTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)  # [ROWS]
    w = tl.program_id(2) * WIDTH + tl.arange(0, WIDTH)  # [WIDTH]
    label = tl.load(x_labels + i, mask=i < N, other=0)
    sums = tl.zeros((ROWS, WIDTH), tl.float32)
    start = tl.program_id(1) * SHARE
    for first in range(start, tl.minimum(start + SHARE, M), COLUMNS):
        j = first + tl.arange(0, COLUMNS)  # [COLUMNS]
        tile = _products(x, y, i, j, N, M, D, DIMS, PRECISION)
        if BY_ROW:
            tile -= tl.load(result + i, mask=i < N, other=0.0)[:, None]
            scale = tl.load(gradient + i, mask=i < N, other=0.0)[:, None]
        else:
            tile -= tl.load(result + j, mask=j < M, other=0.0)[None, :]
            scale = tl.load(gradient + j, mask=j < M, other=0.0)[None, :]
        other = tl.load(y_labels + j, mask=j < M, other=0)[None, :] != label[:, None]
        share = tl.where(other & (j < M)[None, :] & (i < N)[:, None], tl.exp(tile) * scale, 0.0)
        inside = (j < M)[:, None] & (w < D)[None, :]
        right = tl.load(y + j[:, None].to(tl.int64) * D + w[None, :], inside, 0.0).to(tl.float32)
        sums = tl.dot(share, right, sums, input_precision=PRECISION)
    place = (tl.program_id(1).to(tl.int64) * N + i[:, None]) * D + w[None, :]
    tl.store(out + place, sums, mask=(i < N)[:, None] & (w < D)[None, :])


def forward(x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor, precision: str) -> Tensor:
    """The operator's `[N]` in float32."""
    grid, arguments, options = launch_forward(x, y, x_labels, y_labels, precision)
    _forward[grid](*arguments, **options)
    largest, total = arguments[4:6]
    most = largest.amax(dim=0)
    safe = most.masked_fill(most == -torch.inf, 0)
    result: Tensor = most + (total * (largest - safe).exp()).sum(dim=0).log()
    return result


def backward(
    x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor, result: Tensor, gradient: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    """Gradients `[N, D]` and `[M, D]` in float32."""
    sides = ((x, y, x_labels, y_labels, True), (y, x, y_labels, x_labels, False))
    found = []
    for own, other, own_labels, other_labels, by_row in sides:
        grid, arguments, options = launch_gradient(
            own, other, own_labels, other_labels, result, gradient, by_row, precision
        )
        _gradient[grid](*arguments, **options)
        found.append(arguments[6].sum(dim=0)[:, : own.shape[1]])
    return found[0], found[1]


def launch_forward(
    x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor, precision: str
) -> tuple[tuple[int, int], tuple[Any, ...], dict[str, Any]]:
    """Grid, arguments and options of the forward kernel; `aot` compiles exactly these."""
    blocks = triton.cdiv(len(x), TILING.rows)
    splits, share = _shares(blocks, len(y))
    x, y = _padded(x), _padded(y)
    largest = x.new_empty(splits, len(x))
    arguments = (
        x, y, x_labels.contiguous(), y_labels.contiguous(), largest, torch.empty_like(largest), len(x), len(y),
        x.shape[1], share,
    )  # fmt: skip
    return (blocks, splits), arguments, _options(precision)


def launch_gradient(
    x: Tensor, y: Tensor, x_labels: Tensor, y_labels: Tensor, result: Tensor, gradient: Tensor, by_row: bool,
    precision: str,
) -> tuple[tuple[int, int, int], tuple[Any, ...], dict[str, Any]]:  # fmt: skip
    """Grid, arguments and options of the gradient kernel for x; `by_row`: the output belongs to x."""
    x, y = _padded(x), _padded(y)
    blocks, parts = triton.cdiv(len(x), TILING.rows), triton.cdiv(x.shape[1], _WIDTH)
    splits, share = _shares(blocks * parts, len(y))
    arguments = (
        x, y, x_labels.contiguous(), y_labels.contiguous(), result.contiguous(), gradient.contiguous(),
        x.new_empty(splits, *x.shape), len(x), len(y), x.shape[1], share,
    )  # fmt: skip
    options = _options(precision) | {"BY_ROW": by_row, "WIDTH": min(_WIDTH, triton.next_power_of_2(x.shape[1]))}
    return (blocks, splits, parts), arguments, options


def _shares(programs: int, columns: int) -> tuple[int, int]:
    """How many shares of how many columns keep a GPU busy, whole tiles each; depends on the shapes alone."""
    tiles = triton.cdiv(columns, TILING.columns)
    splits = min(tiles, max(1, _PROGRAMS // programs))
    share = triton.cdiv(tiles, splits) * TILING.columns
    return triton.cdiv(columns, share), share


def _padded(rows: Tensor) -> Tensor:
    return torch.nn.functional.pad(rows.float(), (0, -rows.shape[1] % _ALIGNMENT)).contiguous()


def _options(precision: str) -> dict[str, Any]:
    return {
        "ROWS": TILING.rows, "COLUMNS": TILING.columns, "DIMS": TILING.dims, "PRECISION": precision,
        "num_warps": TILING.warps, "num_stages": TILING.stages, "enable_fp_fusion": True,
    }  # fmt: skip
