"""A search with early stopping, worked out from the curves of the same search without it.

That is exact where proposals do not depend on results, as those of the Sobol sampler.
"""


def replayed(full, generation, epochs, factor):
    """What each training leaves: ``{(trial, fold): ((epoch, score), ...)}``, as ``full`` has it of all of them."""
    left = dict(full)
    trials, folds = (sorted({key[part] for key in full}) for part in (0, 1))
    for first in trials[::generation]:
        going = trials[first : first + generation]
        for epoch in epochs:
            mean = {n: sum(best_by(full[n, fold], epoch) for fold in folds) / len(folds) for n in going}
            kept = sorted(going, key=lambda n: (-mean[n], n))[: max(1, len(going) // factor)]
            for stopped in set(going) - set(kept):
                for fold in folds:
                    left[stopped, fold] = tuple(point for point in full[stopped, fold] if point[0] <= epoch)
            going = kept
    return left


def best_by(curve, epoch):
    """The best score up to an epoch."""
    return max(score for at, score in curve if at <= epoch)
