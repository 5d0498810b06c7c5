"""Where the time of the steps goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

#: What is timed: waiting for images and transforming them, the miner, and the loss without its gradient.
PHASES = ("data", "mining", "loss")


class Clock:
    """Seconds in every phase.

    On CUDA mining and loss are timed by events on the stream, which are read when they have passed: the GPU never waits
    for the clock. Data are waited for by the host, and timed there.
    """

    def __init__(self, device: str) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._cuda = torch.device(device).type == "cuda"
        self._passing: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Time the block."""
        if self._cuda and phase != "data":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._passing.append((phase, begin, end))
            self._read()
        else:
            started = time.perf_counter()
            yield
            self.seconds[phase] += time.perf_counter() - started

    def _read(self) -> None:
        while self._passing and self._passing[0][2].query():
            phase, begin, end = self._passing.pop(0)
            self.seconds[phase] += begin.elapsed_time(end) / 1000
