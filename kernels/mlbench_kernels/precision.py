"""Floating-point modes that results may depend on.

The Triton engine multiplies float32 rows in a named mode, its `precision`. What the mode does to a product of the rows
x and y, beside the `(D + 4) 2^-21` of norms, sums of D terms and the like in float32 (all as shares of |x| |y|):

| mode | operands | error of x.y |
| --- | --- | --- |
| `ieee` | float32 | 0 |
| `tf32x3` | two TF32 parts each, three products | 2^-19 |
| `bf16x3` | two bfloat16 parts each, three products | 3 * 2^-16 |
| `tf32` | TF32, truncated: u = 2^-10 | 2u + u^2 |
| `bf16` | bfloat16, rounded: u = 2^-8 | 2u + u^2 |

These bounds are worst cases; measured errors are 3 to 30 times smaller. `auto` takes a mode whose picks are those of
float64 but for near-ties: candidates closer together than float32 itself resolves (`tf32x3`), or than about 2^-15 of
their norms (`bf16x3`, where the former would be slow: without the matrix units of Hopper or data-centre Blackwell).

Rows of float16 and bfloat16 are widened first: centred or normalised they are no longer of their own type, so that a
product in it would round them anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

FLOAT32_ROUNDOFF = 2.0**-24
"""Largest relative error of one correctly rounded float32 operation."""

_PRODUCT_ERROR = {
    "ieee": 0.0,
    "tf32x3": 2.0**-19,
    "bf16x3": 3 * 2.0**-16,
    "tf32": 2 * 2.0**-10 + 2.0**-20,
    "bf16": 2 * 2.0**-8 + 2.0**-16,
}
PRECISIONS = tuple(_PRODUCT_ERROR)


def relative_error(precision: str, dimension: int, dtype: torch.dtype = torch.float32) -> float:
    """Largest error of a product of rows in a mode that sums in `dtype`, as a share of the norms.

    >>> relative_error("bf16", 128) > 8 * relative_error("bf16x3", 128) > 2 * relative_error("ieee", 128)
    True
    """
    return _PRODUCT_ERROR[precision] + 4 * (dimension + 4) * torch.finfo(dtype).eps


def check_precision(requested: str) -> None:
    """Raise `ValueError` unless `requested` is "auto" or a mode."""
    if requested not in ("auto", *PRECISIONS):
        raise ValueError(f"precision: {requested!r} is unknown; allowed are auto, {', '.join(PRECISIONS)}")


def choose_precision(requested: str, backend: str, embeddings: Tensor) -> str:
    """The mode in which `backend` multiplies `embeddings`.

    Backends of plain torch compute in real float32, or float64: theirs is "ieee". So is that of "auto" in Triton's
    interpreter, which computes all modes alike, except those of bfloat16, which it cannot.

    Raises:
        ValueError: the name is unknown, or the backend has no such mode; names those that it has.

    >>> choose_precision("auto", "blocked", torch.zeros(1, 1))
    'ieee'
    """
    check_precision(requested)
    interpreted = backend == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if requested == "auto":
        return _automatic(embeddings) if backend == "triton" and not interpreted else "ieee"
    if backend != "triton" and requested != "ieee":
        raise ValueError(
            f"precision: {requested!r} is a mode of backend 'triton', and {backend!r} runs; allowed are auto, ieee"
        )
    if interpreted and requested.startswith("bf16"):
        raise ValueError(
            f"precision: {requested!r} cannot run in Triton's interpreter; allowed are auto, ieee, tf32, tf32x3"
        )
    return requested


def _automatic(embeddings: Tensor) -> str:
    major, _ = torch.cuda.get_device_capability(embeddings.device)
    return "tf32x3" if 9 <= major < 12 else "bf16x3"


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Make float32 matrix products real float32 inside the block.

    A program may have allowed TF32 or bfloat16 products for its training. Error bounds and neighbour order do not
    survive that, so whatever relies on them runs under this guard.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Give scattered additions on a GPU an order, so that they have the same bits every time."""
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.use_deterministic_algorithms(before, warn_only=warn)
