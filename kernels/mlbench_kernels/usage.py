"""Which backends really ran: for whoever records how a result came about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_open: list[dict[str, str]] = []  # of the process, not of a thread: gradients are computed in threads of their own


@contextmanager
def used_backends() -> Iterator[dict[str, str]]:
    """Collect what runs inside the block: the name of each rule, and the backend that ran it last.

    Calls inside compiled graphs count like any others: the rules run behind operators, which no graph looks into.

    >>> import torch
    >>> from mlbench_kernels import hard_negatives
    >>> with used_backends() as used:
    ...     _ = hard_negatives(torch.eye(2), torch.arange(2))
    >>> used
    {'Extreme': 'blocked'}
    """
    found: dict[str, str] = {}
    _open.append(found)
    try:
        yield found
    finally:
        _open[:] = [other for other in _open if other is not found]


def note_backend(name: str, backend: str) -> None:
    """Tell every open `used_backends` that `backend` runs `name`."""
    for found in _open:
        found[name] = backend
