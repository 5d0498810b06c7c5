"""A search with early stopping, worked out from the curves of the same search without it.

That is exact where proposals do not depend on results, as those of the Sobol sampler.
"""

from mlbench.search import Curve, thresholds


def replayed(full, generation, epochs, factor):
    """What each training leaves. ``full`` has the curve of every trial's every fold: ``{(trial, fold): Curve}``."""
    left = {}
    for trial, fold in sorted(full):
        first = trial - trial % generation
        earlier = [left[key] for key in left if key[0] < first and key[1] == fold]
        left[trial, fold] = cut(full[trial, fold], dict(thresholds(epochs, factor, earlier)))
    return left


def cut(curve, below):
    """As much of a curve as there is of a training that stops below these scores."""
    best = -1.0
    for count, (epoch, score) in enumerate(curve.points[:-1], 1):
        best = max(best, score)
        if best < below.get(epoch, -1.0):
            return Curve(curve.points[:count], stopped=True)
    return curve
