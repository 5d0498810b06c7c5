"""What a user sees of a run: plain lines, or a progress bar on a terminal."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from mlbench.execution.watch import Watch, in_time

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mlbench.execution.coordinator import Summary

#: Seconds between plain lines that only say how far things are.
_PAUSE = 10.0


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

    def failed(self, job: str, reason: str, seconds: float, *, cached: bool) -> None:
        """See `Watch`."""
        super().failed(job, reason, seconds, cached=cached)
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

    def failed(self, job: str, reason: str, seconds: float, *, cached: bool) -> None:
        """See `Watch`."""
        super().failed(job, reason, seconds, cached=cached)
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
