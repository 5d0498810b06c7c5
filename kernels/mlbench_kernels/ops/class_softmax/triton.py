"""The same on a GPU: programs own a block of one side and stream a share of the other, without atomic additions.

A softmax over 100,000 classes has few samples and many classes, so the streamed side is cut into shares whose partial
results are added afterwards, in order: the same bits every time. Samples and classes can take either role, so one
forward and one gradient kernel serve both.
"""

# A jit function is compiled by Triton, whose types are not those of Python.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...tuning import Tiling, gradient_tiling
from .blocked import normalized, through_normalization

TILING = Tiling(64, 64, 32, 4, 3)
_PROGRAMS = 528  # four for each multiprocessor of the largest GPU known
_AT_ONCE = 8192  # classes whose gradient goes through their normalisation together
_ALIGNMENT = 32  # D is a multiple of it: loads are 16 bytes wide


@triton.jit
def _logits(x, y, i, j, x_factor, y_factor, x_shift, y_shift, N, M, D, DIMS: tl.constexpr, PRECISION: tl.constexpr):
    """Logits `[ROWS, COLUMNS]` of the rows `i` of x and the rows `j` of y."""
    k = tl.arange(0, DIMS)
    tile = tl.zeros((i.shape[0], j.shape[0]), tl.float32)
    for d in range(0, D, DIMS):
        inside = (d + k < D)[None, :]
        # int64: N * D may exceed 2^31
        left = tl.load(x + i[:, None].to(tl.int64) * D + d + k[None, :], (i < N)[:, None] & inside, 0.0)
        right = tl.load(y + j[:, None].to(tl.int64) * D + d + k[None, :], (j < M)[:, None] & inside, 0.0)
        tile = tl.dot(left, tl.trans(right), tile, input_precision=PRECISION)
    factor = tl.load(x_factor + i, i < N, 0.0)[:, None] * tl.load(y_factor + j, j < M, 0.0)[None, :]
    return tile * factor + tl.load(x_shift + i, i < N, 0.0)[:, None] + tl.load(y_shift + j, j < M, 0.0)[None, :]


@triton.jit(do_not_specialize=["N", "M", "SHARE"])
def _forward(
    x,  # [N, D], the side that is summed for
    y,  # [M, D]
    x_factor,  # [N]
    y_factor,  # [M]
    x_shift,  # [N]
    y_shift,  # [M]
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
        tile = _logits(x, y, i, j, x_factor, y_factor, x_shift, y_shift, N, M, D, DIMS, PRECISION)
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
    x_factor,  # [N]
    y_factor,  # [M]
    x_shift,  # [N]
    y_shift,  # [M]
    x_labels,  # [N]
    y_labels,  # [M]
    others,  # [N] or [M], the log-sum-exp
    gradient,  # likewise, of it
    out,  # [splits, N, D], gradient of the rows of x times their factor
    N,
    M,
    D,
    SHARE,
    BY_ROW: tl.constexpr,  # whether the log-sum-exp is that of x
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
        tile = _logits(x, y, i, j, x_factor, y_factor, x_shift, y_shift, N, M, D, DIMS, PRECISION)
        if BY_ROW:
            tile -= tl.load(others + i, mask=i < N, other=0.0)[:, None]
            scale = tl.load(gradient + i, mask=i < N, other=0.0)[:, None]
        else:
            tile -= tl.load(others + j, mask=j < M, other=0.0)[None, :]
            scale = tl.load(gradient + j, mask=j < M, other=0.0)[None, :]
        other = tl.load(y_labels + j, mask=j < M, other=0)[None, :] != label[:, None]
        share = tl.where(other & (j < M)[None, :] & (i < N)[:, None], tl.exp(tile) * scale, 0.0)
        inside = (j < M)[:, None] & (w < D)[None, :]
        right = tl.load(y + j[:, None].to(tl.int64) * D + w[None, :], inside, 0.0)
        right *= tl.load(y_factor + j, mask=j < M, other=0.0)[:, None]
        sums = tl.dot(share, right, sums, input_precision=PRECISION)
    place = (tl.program_id(1).to(tl.int64) * N + i[:, None]) * D + w[None, :]
    tl.store(out + place, sums, mask=(i < N)[:, None] & (w < D)[None, :])


class Side(NamedTuple):
    """Samples or classes, as the kernels read them.

    Attributes:
        rows: `[N, D]`, float32, D filled up with zeros.
        factor: `[N]`, what the products are multiplied by.
        shift: `[N]`, what is added to them.
        labels: `[N]`, int64.
    """

    rows: Tensor
    factor: Tensor
    shift: Tensor
    labels: Tensor


def sides(samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor) -> tuple[Side, Side]:
    """Samples, and classes whose factor is one over their length."""
    left, right = (
        torch.nn.functional.pad(rows.float(), (0, -rows.shape[1] % _ALIGNMENT)).contiguous()
        for rows in (samples, classes)
    )
    length = torch.linalg.vector_norm(right, dim=1).clamp_min(1e-12)
    numbers = torch.arange(len(right), device=right.device)
    return (
        Side(left, torch.ones_like(shift), shift.contiguous(), labels.contiguous()),
        Side(right, 1 / length, torch.zeros_like(length), numbers),
    )


def forward(
    samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, by_class: bool, precision: str
) -> tuple[Tensor, Tensor]:
    """Own logits and log-sum-exp of the others in float32."""
    x, y = sides(samples, classes, labels, shift)
    grid, arguments, options = launch_forward(*((y, x) if by_class else (x, y)), precision)
    _forward[grid](*arguments, **options)
    largest, total = arguments[8:10]
    most = largest.amax(dim=0)
    safe = most.masked_fill(most == -torch.inf, 0)
    own = (samples * normalized(classes[labels], samples.dtype)).sum(dim=1) + shift
    return own, most + (total * (largest - safe).exp()).sum(dim=0).log()


def backward(
    samples: Tensor, classes: Tensor, labels: Tensor, shift: Tensor, others: Tensor, own_gradient: Tensor,
    others_gradient: Tensor, by_class: bool, precision: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients `[N, D]` and `[C, D]` in float32."""
    x, y = sides(samples, classes, labels, shift)
    found = []
    for own, other, by_row in ((x, y, not by_class), (y, x, by_class)):
        grid, arguments, options = launch_gradient(own, other, others, others_gradient, by_row, precision)
        _gradient[grid](*arguments, **options)
        found.append(arguments[10].sum(dim=0)[:, : samples.shape[1]])
    left, right = found
    left += own_gradient[:, None] * normalized(classes[labels], samples.dtype)
    right.index_put_((labels,), own_gradient[:, None] * samples, accumulate=True)  # in order, unlike index_add_
    for rows, part in zip(classes.split(_AT_ONCE), right.split(_AT_ONCE), strict=True):
        part.copy_(through_normalization(rows, normalized(rows, part.dtype), part))
    return left, right.to(classes.dtype)


def launch_forward(x: Side, y: Side, precision: str) -> tuple[tuple[int, int], tuple[Any, ...], dict[str, Any]]:
    """Grid, arguments and options of the forward kernel for x; `aot` compiles exactly these."""
    blocks = triton.cdiv(len(x.rows), TILING.rows)
    splits, share = _shares(blocks, len(y.rows), TILING)
    largest = x.rows.new_empty(splits, len(x.rows))
    arguments = (
        *_arguments(x, y),
        largest,
        torch.empty_like(largest),
        len(x.rows),
        len(y.rows),
        x.rows.shape[1],
        share,
    )
    return (blocks, splits), arguments, _options(precision, TILING)


def launch_gradient(
    x: Side, y: Side, others: Tensor, gradient: Tensor, by_row: bool, precision: str
) -> tuple[tuple[int, int, int], tuple[Any, ...], dict[str, Any]]:
    """Grid, arguments and options of the gradient kernel for x; `by_row`: the log-sum-exp is that of x."""
    count, dimension = x.rows.shape
    tiling, width = gradient_tiling(precision)
    blocks, parts = triton.cdiv(count, tiling.rows), triton.cdiv(dimension, width)
    splits, share = _shares(blocks * parts, len(y.rows), tiling)
    arguments = (
        *_arguments(x, y), others.contiguous(), gradient.contiguous(), x.rows.new_empty(splits, count, dimension),
        count, len(y.rows), dimension, share,
    )  # fmt: skip
    width = min(width, triton.next_power_of_2(dimension))
    options = _options(precision, tiling) | {"BY_ROW": by_row, "WIDTH": width}
    return (blocks, splits, parts), arguments, options


def _arguments(x: Side, y: Side) -> tuple[Tensor, ...]:
    return tuple(part for pair in zip(x, y, strict=True) for part in pair)


def _shares(programs: int, columns: int, tiling: Tiling) -> tuple[int, int]:
    """How many shares of how many columns keep a GPU busy, whole tiles each; depends on the shapes alone."""
    tiles = triton.cdiv(columns, tiling.columns)
    splits = min(tiles, max(1, _PROGRAMS // programs))
    share = triton.cdiv(tiles, splits) * tiling.columns
    return triton.cdiv(columns, share), share


def _options(precision: str, tiling: Tiling) -> dict[str, Any]:
    return {
        "ROWS": tiling.rows, "COLUMNS": tiling.columns, "DIMS": tiling.dims, "PRECISION": precision,
        "num_warps": tiling.warps, "num_stages": tiling.stages, "enable_fp_fusion": True,
    }  # fmt: skip
