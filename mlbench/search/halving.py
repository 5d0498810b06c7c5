"""Successive halving (Jamieson, Talwalkar, AISTATS 2016): who of a generation goes on."""

from collections.abc import Mapping


def survivors(scores: Mapping[int, float], factor: int) -> list[int]:
    """The best ``1 / factor`` of some trials, rounded down, but at least one; the earlier of equals.

    >>> survivors({0: 0.1, 1: 0.4, 2: 0.3, 3: 0.4, 4: 0.2}, factor=2)
    [1, 3]

    Args:
        scores: Scores by the trials' numbers.
        factor: One in so many goes on.

    Returns:
        Their numbers, best first.
    """
    ranked = sorted(scores, key=lambda number: (-scores[number], number))
    return ranked[: max(1, len(ranked) // factor)]
