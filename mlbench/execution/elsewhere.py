"""Runs that are worked on elsewhere: by another coordinator's worker, or by an orphan of one that was killed."""

import time
from collections.abc import Iterator

from mlbench.execution.work import Work
from mlbench.store.lease import BEAT, Leases


class Elsewhere:
    """Who holds which runs, looked at once a heartbeat.

    What is a heartbeat old does no harm: a worker that is given a run which somebody else holds says so.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._left: dict[str, Work] = {}
        self._names: set[str] = set()
        self._listed = self._looked = float("-inf")

    def __bool__(self) -> bool:
        """Whether runs were left to others."""
        return bool(self._left)

    def has(self, work: Work) -> bool:
        """Whether somebody works on a run."""
        now = time.monotonic()
        if now - self._listed >= BEAT:
            self._listed, self._names = now, self._leases.names()
        return work.lease in self._names and self._is_held(work)

    def leave(self, work: Work) -> None:
        """Leave a run to whoever works on it."""
        self._left[work.job.key] = work

    def given_up(self) -> Iterator[Work]:
        """Runs that nobody works on any more: they are done, or for us."""
        if not self._left or time.monotonic() - self._looked < BEAT:
            return
        self._looked = time.monotonic()
        for work in [work for work in self._left.values() if not self._is_held(work)]:
            del self._left[work.job.key]
            self._leases.free(work.lease)  # whoever gets it now has a process that knows of no count
            yield work

    def _is_held(self, work: Work) -> bool:
        return self._leases.holder(work.lease) is not None
