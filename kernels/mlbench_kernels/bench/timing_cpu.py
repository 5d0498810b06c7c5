"""Measuring on the CPU: wall time. Peak memory is that of a fresh process, see `worker`."""

from __future__ import annotations

import time

import torch

from .case import Call
from .memory import free_memory
from .timing import Timed


class Cpu:
    """The CPU as a `timing.Machine`."""

    kind = "cpu"
    device = torch.device("cpu")
    backend = "blocked"
    timer = "wall"
    compiles = False

    def mark(self) -> float:
        """Seconds."""
        return time.perf_counter()

    def seconds(self, start: float, stop: float) -> float:
        """The difference."""
        return stop - start

    def finish(self) -> None:
        """Calls return when they are done."""

    def free(self) -> int | None:
        """What the system says."""
        return free_memory()

    def watch(self) -> None:
        """Not in this process: its memory has seen other calls."""

    def peak(self) -> int | None:
        """Not in this process."""
        return None

    def prepare(self, call: Call, seconds: float, capturable: bool) -> Timed:
        """As it is."""
        return Timed(call, 1, seconds)

    def before_each(self) -> None:
        """Nothing."""

    def clock_mhz(self) -> int | None:
        """Not read: the cores of a CPU have a clock each."""
        return None
