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


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Make scattered additions on a GPU, whose order otherwise depends on its threads, give the same bits every time."""
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.use_deterministic_algorithms(before, warn_only=warn)
