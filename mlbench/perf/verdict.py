"""Whether an operation became slower or hungrier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mlbench.perf.statistics import Interval, median_interval, sign_test

#: A slowdown below this is not looked for: code that merely moved in memory shows as much.
TOLERANCE = 0.05
#: How much of its bytes an operation may gain: what Python itself keeps varies.
_BYTES = 0.02
_CONFIDENCE = 0.95
_LIKELY = 0.01
#: Fewer rounds cannot be that sure, however much they agree.
_ROUNDS = 7

State = Literal["same", "slower", "faster", "hungrier", "undecided", "gone", "new", "failed"]
#: What keeps a comparison from passing.
REFUSED: tuple[State, ...] = ("slower", "hungrier")
UNDECIDED: tuple[State, ...] = ("undecided", "failed", "gone")


@dataclass(frozen=True)
class Verdict:
    """One operation.

    Attributes:
        name: The benchmark.
        state: What became of it.
        ratio: Head's time divided by base's, with its interval; None where there is none.
        cause: In words, where the state needs them.
    """

    name: str
    state: State
    ratio: Interval | None = None
    cause: str = ""


def timed(name: str, ratios: Sequence[float], tolerance: float = TOLERANCE) -> Verdict:
    """Judge the times of an operation.

    It is slower if the whole interval of the median ratio lies above ``1 + tolerance`` and a sign test of the rounds
    against that bound agrees; faster if the interval lies below ``1 - tolerance``; the same if it lies under
    ``1 + tolerance``. Between that the rounds are too few or too different: undecided.

    Args:
        name: The operation.
        ratios: Head's time divided by base's, one value for every round.
        tolerance: What is not worth a name.
    """
    if len(ratios) < _ROUNDS:
        return Verdict(name, "undecided", cause=f"{len(ratios)} rounds are too few, {_ROUNDS} are needed")
    found = median_interval(ratios, _CONFIDENCE)
    if found.low > 1 + tolerance and sign_test(ratios, 1 + tolerance) < _LIKELY:
        return Verdict(name, "slower", found, f"{found.middle - 1:+.0%}")
    if found.high < 1 - tolerance:
        return Verdict(name, "faster", found, f"{found.middle - 1:+.0%}")
    if found.high <= 1 + tolerance or found.middle <= 1 + tolerance:
        return Verdict(name, "same", found)
    return Verdict(name, "undecided", found, "the rounds differ too much")


def counted(name: str, base: Mapping[str, int], head: Mapping[str, int]) -> Verdict:
    """Judge the counts of an operation: more floating-point operations, allocations, operators or bytes are refused."""
    more = [
        f"{what} {base[what]:,} -> {head[what]:,}"
        for what in sorted(base.keys() & head.keys())
        if head[what] > base[what] * (1 + (_BYTES if what == "bytes" else 0))
    ]
    return Verdict(name, "hungrier" if more else "same", cause=", ".join(more))
