"""What can be said of times from a machine that does other things too."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from statistics import median


@dataclass(frozen=True)
class Interval:
    """A median and where the true one lies.

    Attributes:
        low: Its lower end.
        middle: The median of what was seen.
        high: Its upper end.
        rounds: How many values it is from.
    """

    low: float
    middle: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.middle:.3f} ({self.low:.3f} to {self.high:.3f}, {self.rounds} rounds)"


def median_interval(values: Sequence[float], confidence: float = 0.99) -> Interval:
    """The median and an interval that holds the true one with the confidence, whatever the distribution.

    The k-th smallest and the k-th largest value, with the largest k for which ``2 P(B < k) <= 1 - confidence``, where B
    is binomial with n trials and probability 1/2 (W. R. Thompson, 1936).

    Raises:
        ValueError: If there are too few values for the confidence: 8 are needed for 0.99.

    >>> median_interval([3.0, 1.0, 2.0, 5.0, 4.0, 6.0, 8.0, 7.0])
    Interval(low=1.0, middle=4.5, high=8.0, rounds=8)
    """
    k = _rank(len(values), confidence)
    if k == 0:
        raise ValueError(f"{len(values)} values are too few for an interval with confidence {confidence}")
    ordered = sorted(values)
    return Interval(ordered[k - 1], median(ordered), ordered[-k], len(ordered))


@cache
def _rank(count: int, confidence: float) -> int:
    rank, below = 0, 0.0
    while rank < count // 2:
        below += comb(count, rank) / 2**count
        if 2 * below > 1 - confidence:
            break
        rank += 1
    return rank


def sign_test(values: Sequence[float], bound: float) -> float:
    """Probability of so many values above the bound, or more, if the true median were the bound.

    >>> sign_test([1.1, 1.2, 1.3, 0.9], 1.0)
    0.3125
    """
    above, count = sum(value > bound for value in values), len(values)
    return float(sum(comb(count, k) for k in range(above, count + 1)) / 2**count)
