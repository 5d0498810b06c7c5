"""Scrambled Sobol points: evenly spread, and point ``n`` can be had without the ones before it."""

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc


def sobol_point(dimensions: int, number: int, seed: int) -> npt.NDArray[np.float64]:
    """Point ``number`` of the scrambled Sobol sequence in [0, 1)^dimensions (Owen 1998 scrambling).

    >>> bool((sobol_point(2, 5, seed=1) == sobol_point(2, 5, seed=1)).all())
    True
    """
    engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    if number:
        engine.fast_forward(number)
    point: npt.NDArray[np.float64] = engine.random(1)[0]
    return point
