"""The plain matrix product of a batch with itself: what every operation on all pairs is measured by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .case import PRECISIONS, PRODUCT, Call, Provider, Setting
from .data import Batch

_ELEMENTS = 1 << 28  # of a block of the product, 1 GiB in float32: whole to N = 16,384


@contextmanager
def float32_products(mode: str) -> Iterator[None]:
    """Float32 products in `mode` inside the block: "highest" (IEEE) or "high" (TF32 on a GPU)."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(mode)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _prepare(batch: Batch, setting: Setting) -> Call:
    """The product at the rate of the precision's units.

    A precision that ends in x3 adds up three products of parts of its operands: one product of thrice the dimension.
    """
    x = batch.embeddings.bfloat16() if setting.precision.startswith("bf16") else batch.embeddings
    x = x.repeat(1, 3) if setting.precision.endswith("x3") else x
    rows = max(1, _ELEMENTS // len(x))
    mode = "high" if setting.precision.startswith("tf32") else "highest"

    def call() -> None:
        with float32_products(mode):
            for part in x.split(rows):
                torch.mm(part, x.T)

    return call


product = Provider(PRODUCT, _prepare, precisions=PRECISIONS, capturable=True)
