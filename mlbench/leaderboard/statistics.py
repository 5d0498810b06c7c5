"""The 95% Student-t interval for a mean, as in the Reality Check."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval ``mean ± half``; ``half`` is None for fewer than two values."""

    mean: float
    half: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Lower end."""
        return None if self.half is None else self.mean - self.half

    @property
    def high(self) -> float | None:
        """Upper end."""
        return None if self.half is None else self.mean + self.half


def t_interval(values: Sequence[float]) -> Interval:
    """Mean and half width ``t(0.975, n - 1) * s / sqrt(n)``.

    >>> interval = t_interval([1.0, 2.0, 3.0])
    >>> interval.mean, round(interval.half, 4)
    (2.0, 2.4841)
    """
    if len(values) < 2:
        return Interval(values[0] if values else math.nan, None, len(values))
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values), half, len(values))
