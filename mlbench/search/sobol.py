"""Scrambled Sobol points: evenly spread, and point ``n`` can be had without the ones before it."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc


def sobol_point(dimensions: int, number: int, seed: int) -> npt.NDArray[np.float64]:
    """Point ``number`` of the scrambled Sobol sequence in [0, 1)^dimensions (Owen 1998 scrambling).

    >>> bool((sobol_point(2, 5, seed=1) == sobol_point(2, 5, seed=1)).all())
    True
    """
    point: npt.NDArray[np.float64] = _first_points(dimensions, number.bit_length(), seed)[number]
    return point


@lru_cache(maxsize=256)
def _first_points(dimensions: int, exponent: int, seed: int) -> npt.NDArray[np.float64]:
    """The first ``2 ** exponent`` points: scrambling takes longer than all of them."""
    engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    points: npt.NDArray[np.float64] = engine.random_base2(exponent)
    points.flags.writeable = False
    return points
