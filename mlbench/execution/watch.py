"""What a run tells while it runs: a terminal display, plain lines, and events.jsonl in the store."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from mlbench.store.atomic import explained

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mlbench.execution.coordinator import Summary

#: Seconds between plain lines that only say how far things are.
_PAUSE = 10.0


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
        self.closed += not cached
        self.cached += cached
        self.done += not cached
        self.cost += seconds
        self.running.discard(job)

    def spared(self, job: str) -> None:
        """A job had nothing left to do."""
        self.closed += 1

    def failed(self, job: str, reason: str, seconds: float) -> None:
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

    def failed(self, job: str, reason: str, seconds: float) -> None:
        """See `Watch`."""
        self._write("failed", job=job, reason=reason, seconds=seconds)
        self._then.failed(job, reason, seconds)

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


class Lines(Watch):
    """Plain lines for logs: every failure, and now and then how far things are."""

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__()
        self._out = out or sys.stderr
        self._last = 0.0

    def begin(self, total: int, closed: int) -> None:
        """See `Watch`."""
        super().begin(total, closed)
        self._say(f"{total} jobs, {closed} already done")

    def preparing(self, done: int, total: int, seconds_left: float | None) -> None:
        """See `Watch`."""
        if time.monotonic() - self._last > _PAUSE or done == total:
            self._last = time.monotonic()
            self._say(f"preparing images: {done}/{total}, {in_time(seconds_left)} left")

    def finished(self, job: str, score: float | None, seconds: float, *, cached: bool) -> None:
        """See `Watch`."""
        super().finished(job, score, seconds, cached=cached)
        if not cached and (time.monotonic() - self._last > _PAUSE or self.closed == self.total):
            self._last = time.monotonic()
            self._say(f"{self.state}; last: {job}")

    def failed(self, job: str, reason: str, seconds: float) -> None:
        """See `Watch`."""
        super().failed(job, reason, seconds)
        self._say(f"failed: {job}: {reason}")

    def retried(self, job: str, reason: str) -> None:
        """See `Watch`."""
        super().retried(job, reason)
        self._say(f"again: {job}: {reason}")

    def note(self, text: str) -> None:
        """See `Watch`."""
        self._say(text)

    def _say(self, text: str) -> None:
        print(f"mlbench: {text}", file=self._out, flush=True)


class Bar(Watch):
    """A progress bar for a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, total: int, closed: int) -> None:
        """See `Watch`."""
        super().begin(total, closed)
        self._start("starting workers", total, closed)

    def preparing(self, done: int, total: int, seconds_left: float | None) -> None:
        """See `Watch`."""
        if self._progress is None:
            self._start("", total, done)
        assert self._progress is not None and self._task is not None
        text = f"{in_time(seconds_left)} left · preparing images"
        if done == total and self.total:
            done, total, text = self.closed, self.total, "starting workers"
        self._progress.update(self._task, completed=done, total=total, description=text)

    def _start(self, text: str, total: int, completed: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.close()
        columns = (BarColumn(bar_width=20), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(text, total=total, completed=completed)
        self._progress.start()

    def told(self, job: str, entry: Mapping[str, Any]) -> None:
        """See `Watch`."""
        self._show(f"{job} epoch {entry['epoch']}: validation MAP@R {entry['map_at_r']:.3f}")

    def finished(self, job: str, score: float | None, seconds: float, *, cached: bool) -> None:
        """See `Watch`."""
        super().finished(job, score, seconds, cached=cached)
        self._show(job)

    def failed(self, job: str, reason: str, seconds: float) -> None:
        """See `Watch`."""
        super().failed(job, reason, seconds)
        if self._progress:
            self._progress.console.print(f"failed: {job}: {reason}", style="red", highlight=False, markup=False)

    def note(self, text: str) -> None:
        """See `Watch`."""
        if self._progress:
            self._progress.console.print(text, highlight=False, markup=False)

    def end(self, summary: "Summary") -> None:
        """See `Watch`."""
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        if self._progress:
            self._progress.stop()

    def _show(self, text: str) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self.closed, description=f"{self._brief}\n{text}")

    @property
    def _brief(self) -> str:
        """How far it is, in what a terminal of 80 columns has beside the bar."""
        failed = f", {self.failures} failed" if self.failures else ""
        return (
            f"{self.closed}/{self.total} jobs{failed}, {len(self.running)} running, {in_time(self.seconds_left)} left"
        )


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
