"""Where the time of the steps goes."""

import time
from types import TracebackType

import torch

#: What is timed: waiting for images and transforming them, the miner, and the loss without its gradient.
PHASES = ("data", "mining", "loss")


class Clock:
    """Seconds in every phase.

    On CUDA mining and loss are timed by events on the stream, which are read when they have passed: the GPU never waits
    for the clock. Data are waited for by the host, and timed there.

    >>> clock = Clock("cpu")
    >>> with clock("loss"):
    ...     pass
    >>> clock.seconds["loss"] > 0
    True
    """

    def __init__(self, device: str) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._cuda = torch.device(device).type == "cuda"
        self._phase = ""
        self._started = 0.0
        self._begin: torch.cuda.Event | None = None
        self._passing: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    def __call__(self, phase: str) -> "Clock":
        """Time the block that begins; one at a time."""
        self._phase = phase
        return self

    def __enter__(self) -> None:
        if self._cuda:
            self._begin = _event()
        else:
            self._started = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begin is None:
            self.seconds[self._phase] += time.perf_counter() - self._started
            return
        if kind is not None:  # of the GPU perhaps, which can be asked for nothing any more
            return
        self._passing.append((self._phase, self._begin, _event()))
        self._begin = None
        while self._passing and self._passing[0][2].query():
            phase, begin, end = self._passing.pop(0)
            self.seconds[phase] += begin.elapsed_time(end) / 1000


def _event() -> torch.cuda.Event:
    """One that passes when all that was asked of the GPU so far is done."""
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
