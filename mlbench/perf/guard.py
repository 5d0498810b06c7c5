"""Bounds on speed and memory that hold on any machine: ratios and growth, measured within one test."""

from collections.abc import Callable, Sequence
from math import log
from statistics import linear_regression
from typing import Literal

from mlbench_kernels.bench.timing import Clock

from mlbench.perf.counts import peak_bytes
from mlbench.perf.interleaved import Call, Turns
from mlbench.perf.statistics import Interval, median_interval

#: A call that is ready to be timed, made for a size; what making it takes does not count.
Make = Callable[[int], Call]

_ROUNDS = 15
#: An undecided measurement is continued up to so many rounds.
_MOST = 60


class PerfGuard:
    """What the fixture ``perf_guard`` gives. Every method raises `AssertionError` if the bound is broken.

    Times are taken in turns, and a bound counts as broken only if the whole 99% interval lies beyond it, twice: a
    busy machine makes the intervals wide, not the verdict wrong.

    Args:
        clock: Read instead of what the device suggests, see `mlbench.perf.Turns`.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock

    def ratio(self, mine: Make, reference: Make, sizes: Sequence[int], max_ratio: float) -> dict[int, Interval]:
        """Insist that ``mine`` takes at most ``max_ratio`` times as long as ``reference``, at every size.

        Args:
            mine: Given a size, makes the call to time.
            reference: The same for what it is compared with: a peer, or a plain form that no change will slow down.
            sizes: For instance batch sizes.
            max_ratio: The bound.

        Returns:
            The ratio at every size.
        """
        found = {size: self._ratio(mine, reference, size, max_ratio) for size in sizes}
        broken = {size: one for size, one in found.items() if one.low > max_ratio}
        # A second measurement of what failed: once in a hundred intervals the truth is outside.
        again = {size: self._ratio(mine, reference, size, max_ratio) for size in broken}
        for size, one in again.items():
            if one.low > max_ratio:
                raise AssertionError(f"size {size}: {one} times the reference's time, allowed is {max_ratio:g}")
        return found | again

    def peak_memory(self, call: Call, max_bytes: int) -> int:
        """Insist that a call needs at most so many bytes above what is in use before it.

        Args:
            call: The call; it is made three times.
            max_bytes: The bound.

        Returns:
            The bytes, see `mlbench.perf.peak_bytes`.
        """
        found = peak_bytes(call)
        if found > max_bytes:
            raise AssertionError(f"peak memory: {found:,} bytes above the inputs, allowed are {max_bytes:,}")
        return found

    def scaling(
        self, make: Make, sizes: Sequence[int], max_exponent: float, of: Literal["time", "bytes"] = "time"
    ) -> Interval:
        """Insist that time or peak memory grow at most as ``size ** max_exponent``.

        The exponent is the slope of a line through the logarithms. Time has overheads that do not grow, so choose sizes
        at which they are small; N² log N shows as about 2.2, N³ as 3. A bound of 1.5 on bytes finds a hidden N×N.

        Args:
            make: Given a size, makes the call.
            sizes: At least two, ascending; the last at least four times the first.
            max_exponent: The bound.
            of: What is measured.

        Returns:
            The exponent.

        Raises:
            ValueError: If the sizes are too few or too close.
        """
        if len(sizes) < 2 or sizes[0] < 1 or sizes[-1] < 4 * sizes[0]:
            raise ValueError(f"sizes: at least two, the last at least four times the first, got {list(sizes)}")
        calls = [make(size) for size in sizes]
        if of == "bytes":
            slope = _slope(sizes, [max(1, peak_bytes(call)) for call in calls])
            found = Interval(slope, slope, slope, 1)
        else:
            found = self._exponent(self._turns(calls), sizes, max_exponent)
            found = found if found.low <= max_exponent else self._exponent(self._turns(calls), sizes, max_exponent)
        if found.low > max_exponent:
            raise AssertionError(f"{of} grows as size ** {found}, allowed is {max_exponent:g}")
        return found

    def _ratio(self, mine: Make, reference: Make, size: int, bound: float) -> Interval:
        turns = self._turns([mine(size), reference(size)])
        return _decided(lambda: [own / other for own, other in turns.rounds(_ROUNDS)], bound)

    def _turns(self, calls: Sequence[Call]) -> Turns:
        return Turns(calls, self._clock)

    def _exponent(self, turns: Turns, sizes: Sequence[int], bound: float) -> Interval:
        return _decided(lambda: [_slope(sizes, seconds) for seconds in turns.rounds(_ROUNDS)], bound)


def _decided(measure: Callable[[], list[float]], bound: float) -> Interval:
    """Measure until the interval lies on one side of the bound, or long enough."""
    values = measure()
    while (found := median_interval(values)).low <= bound < found.high and len(values) < _MOST:
        values += measure()
    return found


def _slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Of the least-squares line through ``(log size, log value)``."""
    xs, ys = [log(size) for size in sizes], [log(value) for value in values]
    return linear_regression(xs, ys).slope
