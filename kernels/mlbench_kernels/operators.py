"""Registering functions as torch operators.

`torch.library.custom_op` does the same and imports the compiler, and with it Triton, at the first call; these do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_NAMESPACE = "mlbench_kernels"


def operator(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of annotated arguments, which it must not change, as `mlbench_kernels::name`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        qualified = f"{_NAMESPACE}::{name}"
        torch.library.define(qualified, torch.library.infer_schema(function, mutates_args=()))
        torch.library.impl(qualified, "default", function)
        registered: Callable[..., Any] = getattr(torch.ops.mlbench_kernels, name).default
        return registered

    return register


def fake(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what `mlbench_kernels::name` returns, in shapes and dtypes only."""
    register: Callable[[Callable[..., Any]], Callable[..., Any]] = torch.library.register_fake(f"{_NAMESPACE}::{name}")
    return register


def differentiable(name: str, backward: Callable[..., Any], keep: Callable[..., Any]) -> None:
    """Register the derivative of `mlbench_kernels::name`; `keep` saves for `backward` what it needs."""
    torch.library.register_autograd(f"{_NAMESPACE}::{name}", backward, setup_context=keep)
