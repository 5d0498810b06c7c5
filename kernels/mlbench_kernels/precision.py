"""Floating-point modes that results may depend on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

FLOAT32_ROUNDOFF = 2.0**-24
"""Largest relative error of one correctly rounded float32 operation."""


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
