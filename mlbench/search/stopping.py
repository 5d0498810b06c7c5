"""Early stopping of hopeless trials: what a training must have reached by when, from earlier ones alone.

At each of some epochs one training in ``factor`` goes on. With ``factor = 2`` at every validation that is the median
rule (Golovin et al., Google Vizier, KDD 2017); with epochs that grow by ``factor`` it is successive halving (Jamieson,
Talwalkar, AISTATS 2016), one trial after the other as in ASHA (Li et al., MLSys 2020), but in generations: a training
is told its thresholds before it starts, so that nothing depends on who is ahead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """The validations of a finished training.

    Attributes:
        points: Epoch and score of each, in order.
        stopped: Whether it was stopped for being hopeless; what it would have reached later is not known.
    """

    points: tuple[tuple[int, float], ...]
    stopped: bool = False

    def best_by(self, epoch: int) -> float | None:
        """The best score up to an epoch; None if it is not known.

        >>> curve = Curve(((1, 0.2), (2, 0.5), (3, 0.4)), stopped=True)
        >>> curve.best_by(1), curve.best_by(3), curve.best_by(4)
        (0.2, 0.5, None)
        """
        if self.stopped and epoch > self.points[-1][0]:
            return None
        return max((score for at, score in self.points if at <= epoch), default=None)


def thresholds(epochs: Iterable[int], factor: int, earlier: Sequence[Curve]) -> list[tuple[int, float]]:
    """By each epoch, the score below which a training is not among the best ``1 / factor``.

    Of n earlier trainings that got to an epoch and the new one, ``(n + 1) // factor`` go on; equals go on. Where that
    is none, nothing is stopped there.

    Args:
        epochs: When to decide.
        factor: One in so many goes on, at least 2.
        earlier: Trainings to be compared with, in any order.

    Returns:
        Epochs and thresholds.

    >>> curves = [Curve(((1, score), (3, 2 * score))) for score in (0.1, 0.3, 0.2)]
    >>> thresholds([1, 3], 2, curves), thresholds([1], 5, curves)
    ([(1, 0.2), (3, 0.4)], [])
    """
    found = []
    for epoch in epochs:
        known = sorted((best for curve in earlier if (best := curve.best_by(epoch)) is not None), reverse=True)
        if going_on := (len(known) + 1) // factor:
            found.append((epoch, known[going_on - 1]))
    return found
