"""Jobs and plans."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal
from typing import Protocol as TypingProtocol

Role = Literal["trial", "reproduction", "test"]


@dataclass(frozen=True)
class Job:
    """One unit of work: it leaves one record.

    Attributes:
        method: Name of the method.
        role: ``trial`` and ``reproduction`` train one fold and see its training and validation classes only;
            ``test`` trains nothing and sees the test classes only.
        number: Number of the trial or the reproduction.
        fold: The fold, or None for a test of all fold models.
        after: Keys of the jobs whose records it needs.
        rung: Of a trial that is trained in parts, since it may be stopped early: which part, from 0.
    """

    method: str
    role: Role
    number: int
    fold: int | None
    after: tuple[str, ...]
    rung: int | None = None

    @cached_property
    def key(self) -> str:
        """Its name within the plan: ``Triplet/trial-3/fold-0``."""
        return job_key(self.method, self.role, self.number, self.fold, self.rung)


def job_key(method: str, role: str, number: int, fold: int | None, rung: int | None = None) -> str:
    """The key of a job.

    >>> job_key("Triplet", "trial", 3, 0)
    'Triplet/trial-3/fold-0'
    """
    parts = {"fold": fold, "rung": rung}
    return f"{method}/{role}-{number}" + "".join(f"/{name}-{n}" for name, n in parts.items() if n is not None)


@dataclass(frozen=True)
class Plan:
    """All jobs of a benchmark, each after the ones it needs."""

    jobs: tuple[Job, ...]

    def __len__(self) -> int:
        return len(self.jobs)


@dataclass(frozen=True)
class Outcome:
    """What later jobs may know of a finished one.

    Attributes:
        run: The run's id.
        score: Its validation score, None if it failed.
        epochs: At which epoch its last validation was.
    """

    run: str
    score: float | None
    epochs: int = 0


class Protocol(TypingProtocol):
    """The contract of a protocol plugin. It sees a recipe and outcomes, never data."""

    #: Raise it when the same recipe starts to give other jobs or requests.
    version: ClassVar[int]

    def plan(self) -> Plan:
        """All jobs; known before anything runs."""
        ...

    def request(self, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, Any] | Outcome | None:
        """Everything that can change the job's result, as plain data; None if a failure before it makes it impossible.

        Where a job before it has done all that there is to do, that one's outcome is its own.

        Args:
            job: A job of the plan.
            outcomes: Outcomes of finished jobs by key; those in ``job.after`` are there.
        """
        ...
