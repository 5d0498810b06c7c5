"""What can be said of times from a machine that does other things too."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from statistics import median


@dataclass(frozen=True)
class Interval:
    """What was seen and where the truth lies.

    Attributes:
        low: Its lower end.
        middle: What was seen.
        high: Its upper end.
        rounds: How many values, of each side, it is from.
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


def least_ratio(base: Sequence[float], head: Sequence[float], confidence: float = 0.98) -> Interval:
    """The ratio of two least times and an interval that holds the ratio of the true ones.

    What else a machine does only adds to a time, and often doubles it: the least times say most. If head's are base's
    times r, then the k least of all ``2n``, head's divided by r, are all base's with probability
    ``C(n, k) / C(2n, k)``. With the least k that makes this at most ``(1 - confidence) / 2``, r lies between head's
    least over base's k-th, and head's k-th over base's least: a precedence test (L. S. Nelson, 1963), turned round.

    Args:
        base: Times of n rounds.
        head: As many.
        confidence: That the interval holds r.

    Raises:
        ValueError: If there are too few rounds for the confidence: 5 are needed for 0.98.

    >>> least_ratio([1.0, 1.1, 1.9, 2.0, 1.0, 1.8, 1.0], [1.2, 2.1, 1.3, 1.2, 1.2, 2.2, 2.0])
    Interval(low=0.631578947368421, middle=1.2, high=2.1, rounds=7)
    """
    count = len(base)
    k = next((k for k in range(1, count + 1) if 2 * comb(count, k) / comb(2 * count, k) <= 1 - confidence), None)
    if k is None:
        raise ValueError(f"{count} rounds are too few for an interval with confidence {confidence}")
    was, now = sorted(base), sorted(head)
    return Interval(now[0] / was[k - 1], now[0] / was[0], now[k - 1] / was[0], count)
