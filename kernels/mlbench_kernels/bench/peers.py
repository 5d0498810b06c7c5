"""Participants that are made the same way in several cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .case import COMPILED, DENSE, OURS, PML, PRECISIONS, Provider, Setting
from .data import Batch

Answer = Callable[[Any], Any]


def ours(
    function: Callable[..., Any],
    answer: Answer | None,
    name: str = OURS,
    precisions: tuple[str, ...] = PRECISIONS,
    **options: Any,
) -> Provider:
    """A public mining function of this package; `options` are its own."""

    def prepare(batch: Batch, setting: Setting) -> Callable[[], Any]:
        return lambda: function(*batch, **setting._asdict(), **options)

    return Provider(name, prepare, answer, precisions)


def dense(function: Callable[[Tensor, Tensor], Any], answer: Answer, pair_bytes: float) -> Provider:
    """A plain torch function that holds the distances of all pairs."""
    return Provider(DENSE, lambda batch, _: lambda: function(*batch), answer, pair_bytes=pair_bytes)


def compiled(function: Callable[[Tensor, Tensor], Any], answer: Answer, pair_bytes: float, most: int) -> Provider:
    """The same through torch.compile, for GPUs; `most` bounds the number of shapes to compile."""

    def prepare(batch: Batch, _: Setting) -> Callable[[], Any]:
        fast = torch.compile(function, dynamic=False)
        return lambda: fast(*batch)

    return Provider(COMPILED, prepare, answer, devices=("cuda",), most=most, pair_bytes=pair_bytes)


def metric_learning_miner(
    name: str, answer: Answer | None, pair_bytes: float, most: int = 1 << 62, **options: Any
) -> Provider:
    """A miner of pytorch-metric-learning, by the name of its class."""

    def prepare(batch: Batch, _: Setting) -> Callable[[], Any]:
        from pytorch_metric_learning import miners

        miner = getattr(miners, name)(**options)
        return lambda: miner(*batch)

    return Provider(PML, prepare, answer, most=most, pair_bytes=pair_bytes)
