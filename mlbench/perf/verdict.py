"""Whether an operation became slower or hungrier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mlbench.perf.statistics import Interval, least_ratio

#: A slowdown below this is not looked for: code that merely moved in memory shows as much.
TOLERANCE = 0.05
#: How much of its bytes an operation may gain: what Python itself keeps varies.
_BYTES = 0.02

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


def timed(name: str, base: Sequence[float], head: Sequence[float], tolerance: float = TOLERANCE) -> Verdict:
    """Judge the times of an operation.

    It is slower if the whole interval of the ratio of the least times lies above ``1 + tolerance``: the rank test that
    this interval is made of is then sure; faster if it lies below ``1 - tolerance``; the same if what was seen does not
    exceed ``1 + tolerance``. Between that the rounds are too few or too different: undecided.

    Args:
        name: The operation.
        base: Its times in base, one for every round.
        head: In head, as many.
        tolerance: What is not worth a name.
    """
    try:
        found = least_ratio(base, head)
    except ValueError:
        return Verdict(name, "undecided", cause=f"{len(base)} rounds are too few")
    if found.low > 1 + tolerance:
        return Verdict(name, "slower", found, f"{found.middle - 1:+.0%}")
    if found.high < 1 - tolerance:
        return Verdict(name, "faster", found, f"{found.middle - 1:+.0%}")
    if found.middle <= 1 + tolerance:
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
