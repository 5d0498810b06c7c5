"""What trainings have cost that are done in parts: the record of a part counts the parts before it too."""

from collections.abc import Mapping
from dataclasses import replace

from mlbench.protocols import Job
from mlbench.training.meter import SECONDS


class Spent:
    """What the parts have cost of every training, as far as they are done; a training that is no trial is one part."""

    def __init__(self) -> None:
        self._trainings: dict[str, Mapping[str, float]] = {}

    def at_least(self, job: Job, told: Mapping[str, float]) -> dict[str, float]:
        """The cost of a part that died, perhaps before it could tell what those before it had cost.

        Args:
            job: The part.
            told: What it told at last.
        """
        before = self._trainings.get(_training(job), {})
        known = {name: max(cost.get(name, 0.0) for cost in (before, told)) for name in SECONDS}
        return known if any(known.values()) else {}

    def added(self, job: Job, cost: Mapping[str, float]) -> float:
        """Seconds by which a part that is done, at this cost, adds to those before it."""
        before = self._trainings.get(_training(job), {})
        self._trainings[_training(job)] = cost
        return max(0.0, cost.get("seconds", 0.0) - before.get("seconds", 0.0))


def _training(job: Job) -> str:
    return replace(job, rung=None).key
