"""Which backend runs. A backend that was asked for by name runs or raises; nothing falls back silently."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from .checks import check_choice

_INSTALLED = find_spec("triton") is not None  # found, not imported


def choose_backend(requested: str, available: Sequence[str], embeddings: Tensor) -> str:
    """The backend to run on `embeddings`: for "auto" Triton where it can run, else blocked.

    Raises:
        ValueError: the name is unknown.
        RuntimeError: "triton" was asked for and cannot run; names what is missing.

    >>> choose_backend("auto", ("blocked", "reference"), torch.zeros(1, 1))
    'blocked'
    """
    check_choice("backend", requested, ("auto", *available))
    if requested == "auto":
        on_gpu = embeddings.is_cuda and "triton" in available and not missing_for_triton(embeddings)
        return "triton" if on_gpu else "blocked"
    if requested == "triton" and (missing := missing_for_triton(embeddings)):
        raise RuntimeError(f"backend: 'triton' cannot run here: {missing}; use 'auto' or 'blocked'")
    return requested


def missing_for_triton(embeddings: Tensor) -> str:
    """What keeps Triton from running on `embeddings`; empty if nothing does. Does not import Triton."""
    if not _INSTALLED:
        return "the package triton is not installed"
    if not embeddings.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        return f"it needs tensors on a CUDA device, got {embeddings.device} (or TRITON_INTERPRET=1 for tests)"
    if embeddings.dtype == torch.float64:
        return "it computes in float32, got float64 embeddings"
    return ""
