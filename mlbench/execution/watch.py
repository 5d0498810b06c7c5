"""What a run tells while it runs, and events.jsonl in the store; who shows it to a user is in `displays`."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlbench.store.atomic import explained

if TYPE_CHECKING:
    from mlbench.execution.coordinator import Summary


class Watch:
    """Counts jobs, estimates the time left and tells a listener. The base class tells nobody."""

    def __init__(self) -> None:
        self.total = self.closed = self.failures = self.at_start = self.cached = self.done = 0
        self.running: set[str] = set()
        self.cost = 0.0
        self._begun = time.monotonic()

    def begin(self, total: int, closed: int) -> None:
        """The plan has ``total`` jobs; ``closed`` of them need nothing more."""
        self.total, self.closed, self.at_start = total, closed, closed
        self._begun = time.monotonic()

    def preparing(self, done: int, total: int, seconds_left: float | None) -> None:
        """So many of the dataset's images were decoded; before `begin` too."""

    def started(self, job: str, run: str) -> None:
        """A job went to a worker."""
        self.running.add(job)

    def told(self, job: str, entry: Mapping[str, Any]) -> None:
        """A training was validated."""

    def finished(self, job: str, score: float | None, seconds: float, *, cached: bool) -> None:
        """A job is done; it took so many seconds, or added them to what the parts of its training before it took."""
        self.closed += 1
        self.cached += cached
        self.done += not cached
        self.cost += seconds
        self.running.discard(job)

    def spared(self, job: str) -> None:
        """A job had nothing left to do."""
        self.closed += 1

    def failed(self, job: str, reason: str, seconds: float, *, cached: bool) -> None:
        """A job has no result; it took so many seconds, counted as in `finished`."""
        self.closed += 1
        self.failures += 1
        self.cost += seconds
        self.running.discard(job)

    def retried(self, job: str, reason: str) -> None:
        """A job's process died, and it will be tried again."""
        self.running.discard(job)

    def stopped(self, job: str) -> None:
        """A job was stopped before its end, or turned out to be done by somebody else."""
        self.running.discard(job)

    def note(self, text: str) -> None:
        """Something a user should know."""

    def again(self) -> None:
        """Another command had failures done again: the plan is gone through, and told, from its beginning."""
        self.closed = self.cached = self.done = self.failures = 0
        self.cost = 0.0

    def end(self, summary: "Summary") -> None:
        """Nothing is left to do."""

    @property
    def state(self) -> str:
        """How far it is, in a line."""
        counts = f"{self.done} done, {self.cached} cached, {self.failures} failed, {len(self.running)} running"
        return (
            f"{self.closed}/{self.total} jobs: {counts}; {in_time(self.seconds_left)} left, {in_time(self.cost)} spent"
        )

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the jobs finished in this call; None before the first."""
        done = self.closed - self.at_start
        return (time.monotonic() - self._begun) / done * (self.total - self.closed) if done > 0 else None


class Events(Watch):
    """Appends every event to a file, one JSON object a line, and passes it on. To be closed."""

    def __init__(self, path: Path, then: Watch) -> None:
        super().__init__()
        self._path = path
        self._file: BinaryIO | None = None
        self._then = then

    def begin(self, total: int, closed: int) -> None:
        """See `Watch`."""
        self._write("begin", total=total, closed=closed)
        self._then.begin(total, closed)

    def preparing(self, done: int, total: int, seconds_left: float | None) -> None:
        """See `Watch`; only the end is an event."""
        if done == total:
            self._write("prepared", images=total)
        self._then.preparing(done, total, seconds_left)

    def started(self, job: str, run: str) -> None:
        """See `Watch`."""
        self._write("started", job=job, run=run)
        self._then.started(job, run)

    def told(self, job: str, entry: Mapping[str, Any]) -> None:
        """See `Watch`."""
        self._write("validated", job=job, **entry)
        self._then.told(job, entry)

    def finished(self, job: str, score: float | None, seconds: float, *, cached: bool) -> None:
        """See `Watch`."""
        if not cached:
            self._write("finished", job=job, seconds=seconds)
        self._then.finished(job, score, seconds, cached=cached)

    def spared(self, job: str) -> None:
        """See `Watch`."""
        self._write("spared", job=job)
        self._then.spared(job)

    def failed(self, job: str, reason: str, seconds: float, *, cached: bool) -> None:
        """See `Watch`."""
        if not cached:
            self._write("failed", job=job, reason=reason, seconds=seconds)
        self._then.failed(job, reason, seconds, cached=cached)

    def retried(self, job: str, reason: str) -> None:
        """See `Watch`."""
        self._write("retried", job=job, reason=reason)
        self._then.retried(job, reason)

    def stopped(self, job: str) -> None:
        """See `Watch`."""
        self._write("stopped", job=job)
        self._then.stopped(job)

    def note(self, text: str) -> None:
        """See `Watch`."""
        self._then.note(text)

    def again(self) -> None:
        """See `Watch`."""
        self._write("again")
        self._then.again()

    def end(self, summary: "Summary") -> None:
        """See `Watch`."""
        kinds = ("done", "cached", "failed", "spared", "left")
        self._write("end", **{name: len(getattr(summary, name)) for name in kinds})
        self._then.end(summary)

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            with suppress(OSError):  # a full disk, which was told
                self._file.close()

    def _write(self, event: str, **content: Any) -> None:
        line = json.dumps({"time": round(time.time(), 3), "event": event, **content}) + "\n"
        with explained(self._path):
            if self._file is None:
                self._file = self._opened()
            self._file.write(line.encode())
            self._file.flush()

    def _opened(self) -> BinaryIO:
        """The file, at the beginning of a line: somebody may have been killed in the middle of one."""
        file = self._path.open("ab+")
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            file.write(b"\n")
        return file


def in_time(seconds: float | None) -> str:
    """Seconds in words.

    >>> in_time(3725.0)
    '1 h 02 min'
    """
    if seconds is None:
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
