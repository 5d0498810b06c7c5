"""Random numbers that depend on what they are for, and on nothing else: not on tiles, their order or the device.

A number is a hash of a key and an index. The hash is the finaliser of MurmurHash3 (Appleby, 2011) on 32 bits, in
int32, whose products wrap around.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST, _SECOND = 0x85EBCA6B - (1 << 32), 0xC2B2AE35 - (1 << 32)
_GOLDEN = 0x9E3779B9 - (1 << 32)


def mix(values: Tensor) -> Tensor:
    """Scatter int32 `values`; a bijection."""
    values = values ^ (values >> 16 & 0xFFFF)  # a shift that fills with zeros
    values = values * _FIRST
    values = values ^ (values >> 13 & 0x7FFFF)
    values = values * _SECOND
    return values ^ (values >> 16 & 0xFFFF)


def keys(seed: int, count: int, draws: int, device: torch.device) -> Tensor:
    """Keys `[count, draws]` of 24 bits, as float32: whole numbers that survive every floating-point type in use.

    >>> keys(1, 1, 2, torch.device("cpu")).tolist() == keys(1, 1, 2, torch.device("cpu")).tolist()
    True
    """
    low, high = torch.tensor([[seed & 0xFFFFFFFF], [seed >> 32 & 0xFFFFFFFF]], device=device).int()
    start = mix(mix(low) ^ high) + _GOLDEN * torch.arange(draws, dtype=torch.int32, device=device)
    key = mix(mix(start) ^ torch.arange(count, dtype=torch.int32, device=device)[:, None])
    return (key >> 8 & 0xFFFFFF).float()


def uniform(key: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Uniform float32 numbers in (0, 1), finest near 0, of `key` `[B]` and the indices `row` `[B]`, `column` `[.., C]`.

    `column` is `mix`ed by the caller, once for all keys.
    """
    own = mix(key.int() ^ _GOLDEN * row.int())
    whole = mix(own[:, None] ^ column).float() * 2.0**-32
    return (whole + 2.0**-33 + (whole < 0)).clamp_(2.0**-33, 1 - 2.0**-24)
