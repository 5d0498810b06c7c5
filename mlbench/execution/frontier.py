"""Which jobs can start: those whose predecessors are closed, in the order of the plan."""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence

from mlbench.protocols import Job


class Frontier:
    """Jobs that wait for others or for a worker."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._order = {job.key: number for number, job in enumerate(jobs)}
        self._jobs = {job.key: job for job in jobs}
        self._missing = {job.key: len(job.after) for job in jobs}
        self._followers: defaultdict[str, list[str]] = defaultdict(list)
        for job in jobs:
            for key in job.after:
                self._followers[key].append(job.key)
        self._ready = [(self._order[job.key], job.key) for job in jobs if not job.after]
        heapq.heapify(self._ready)

    def __iter__(self) -> Iterator[Job]:
        """Take what is ready, one after the other; what becomes ready meanwhile comes too."""
        while self._ready:
            yield self._jobs[heapq.heappop(self._ready)[1]]

    def __bool__(self) -> bool:
        """Whether something is ready."""
        return bool(self._ready)

    def put_back(self, job: Job) -> None:
        """Take it later."""
        heapq.heappush(self._ready, (self._order[job.key], job.key))

    def close(self, key: str) -> None:
        """A job is over: what waited for it alone is ready."""
        for follower in self._followers.pop(key, ()):
            self._missing[follower] -= 1
            if not self._missing[follower]:
                self.put_back(self._jobs[follower])
