"""Times of several calls in one process, in turns, so that a change of the machine's speed hits all of them."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from mlbench_kernels.bench.timing import Clock

Call = Callable[[], object]

#: Seconds that one reading of the clock covers at least: a shorter call is made several times.
_LEAST = 5e-4
#: Readings in a round, of which the least counts: what else the machine does only ever adds.
_READINGS = 5


class Processor:
    """Processor time of this process, all its threads together, as a `mlbench_kernels.bench.timing.Clock`.

    What other processes do to a busy machine does not show, but for their share of caches and memory. Nor does waiting.
    """

    def mark(self) -> float:
        """Seconds."""
        return time.process_time()

    def seconds(self, start: float, stop: float) -> float:
        """The difference."""
        return stop - start

    def finish(self) -> None:
        """Calls return when they are done."""


class Turns:
    """Contestants that are timed round after round.

    On the CPU processor time is read; on a GPU the device's own events, and short calls are replayed from a CUDA graph.

    Args:
        calls: The contestants; each is called twice before the first round.
        clock: Read instead of what the device suggests.
    """

    def __init__(self, calls: Sequence[Call], clock: Clock | None = None) -> None:
        for call in calls:
            call()
        self._clock, self._calls = clock or Processor(), [(call, 1) for call in calls]
        if clock is None and torch.cuda.is_initialized():
            self._clock, self._calls = _on_gpu(calls)
        self._repeats = [max(1, round(_LEAST / max(self._reading(i, 1), 1e-9))) for i in range(len(calls))]
        self._round = 0

    def rounds(self, count: int) -> list[list[float]]:
        """Seconds of one call, a list for every round with a value for every contestant.

        Who begins changes from round to round.
        """
        with _no_collection():
            return [self._one() for _ in range(count)]

    def _one(self) -> list[float]:
        contestants = range(len(self._calls))
        readings: dict[int, list[float]] = {index: [] for index in contestants}
        self._round += 1
        for number in range(_READINGS):
            for index in contestants if (self._round + number) % 2 else reversed(contestants):
                readings[index].append(self._reading(index, self._repeats[index]))
        return [min(readings[index]) for index in contestants]

    def _reading(self, index: int, repeats: int) -> float:
        call, inner = self._calls[index]
        start = self._clock.mark()
        for _ in range(repeats):
            call()
        stop = self._clock.mark()
        self._clock.finish()
        return self._clock.seconds(start, stop) / (repeats * inner)


def _on_gpu(calls: Sequence[Call]) -> tuple[Clock, list[tuple[Call, int]]]:
    from mlbench_kernels.bench.timing_gpu import Gpu

    gpu = Gpu()
    timed = [gpu.prepare(call, 0.0, capturable=True) for call in calls]
    return gpu, [(one.call, one.inner) for one in timed]


@contextmanager
def _no_collection() -> Iterator[None]:
    """A collection of garbage would be charged to whoever happens to run."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
