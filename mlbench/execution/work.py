"""A job that can start."""

from dataclasses import dataclass
from typing import Any

from mlbench.protocols import Job


@dataclass(frozen=True)
class Work:
    """A job with its request: hashing that takes longer than most that is done with it, so it is done once."""

    job: Job
    request: dict[str, Any]
    run: str

    @property
    def lease(self) -> str:
        """Name of the run's lease."""
        return self.run[:32]
