"""Measuring on a CUDA GPU: device events, and CUDA graphs for what is over before the next launch arrives."""

from __future__ import annotations

import torch

from .case import Call
from .timing import Timed

_SHORT = 200e-6  # seconds below which the gaps between launches show
_REPLAYED = 20  # calls in a graph


class Gpu:
    """The current CUDA GPU as a `timing.Machine`.

    Args:
        cold: overwrite the L2 cache before each call. Otherwise a small batch may still be in it, as it is in training.
    """

    kind = "cuda"
    device = torch.device("cuda")
    backend = "triton"
    timer = "events"
    compiles = True

    def __init__(self, cold: bool = False) -> None:
        self._flush = torch.empty(256 << 20, dtype=torch.int8, device=self.device) if cold else None

    def mark(self) -> torch.cuda.Event:
        """An event in the stream."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, stop: torch.cuda.Event) -> float:
        """Between two events that have passed."""
        return float(start.elapsed_time(stop)) / 1000

    def finish(self) -> None:
        """Wait for the GPU."""
        torch.cuda.synchronize()

    def free(self) -> int | None:
        """What the driver says, without what torch keeps for later."""
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info()[0])

    def watch(self) -> None:
        """From what is allocated now."""
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    def peak(self) -> int | None:
        """By torch's allocator."""
        return int(torch.cuda.max_memory_allocated()) - self._before

    def prepare(self, call: Call, seconds: float, capturable: bool) -> Timed:
        """Short calls that can be captured, several in one graph; others as they are."""
        if seconds > _SHORT or not capturable:
            return Timed(call, 1, seconds)
        try:
            return Timed(_replay(call), _REPLAYED, seconds)
        except RuntimeError:  # what cannot be captured is timed with the gaps
            return Timed(call, 1, seconds)

    def before_each(self) -> None:
        """Empty the cache of data, if so asked."""
        if self._flush is not None:
            self._flush.zero_()

    def clock_mhz(self) -> int | None:
        """Of the multiprocessors over the last moments; None without the package nvidia-ml-py."""
        try:
            return int(torch.cuda.clock_rate())
        except Exception:  # whatever the driver's library says, a missing clock is no reason to stop
            return None


def _replay(call: Call) -> Call:
    """Several calls as one graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries set themselves up here, which a capture would not allow
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        for _ in range(_REPLAYED):
            call()
    return graph.replay
