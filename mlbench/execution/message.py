"""What executors tell: plain data, so that it can cross to other processes and machines."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Message:
    """News of a job.

    Attributes:
        kind: ``told`` (a validation; the job goes on); ``done`` (its record is in the store); ``stopped`` (its
            training was asked to stop, and goes on from its checkpoint when it is submitted again); ``busy`` (somebody
            else works on it); ``died`` (its process ended, or memory ran out: ``content`` has ``reason`` and
            ``error``); ``fatal`` (nothing can go on: ``content`` has ``error``, a class of `mlbench.api.errors`, and
            ``text``).
        job: Key of the job.
        content: JSON.
    """

    kind: str
    job: str
    content: Any = None
