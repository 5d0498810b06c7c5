"""Where jobs run: the contract of an executor, and the simplest one.

An executor takes jobs as plain data and tells what becomes of them. It keeps nothing: what is done is in the store, who
works on what is in the leases there, and what of it may be tried again the coordinator decides. Everything that crosses
it is JSON, and what it does on the other side is `attempt`.
"""

import gc
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mlbench.execution.attempt import Surroundings, attempt
from mlbench.execution.context import Context
from mlbench.execution.message import Message
from mlbench.execution.worker import Worker


class Pool(Protocol):
    """Runs jobs and tells what happens."""

    @property
    def idle(self) -> int:
        """How many more jobs it takes now."""
        ...

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Start a job, or try it again. Only while ``idle``."""
        ...

    def news(self, timeout: float) -> list[Message]:
        """Wait for something to happen, at most so many seconds. Every job's last message ends it."""
        ...

    def cancel(self, job: str) -> None:
        """Ask a running job to stop: a training keeps its state first. What comes of it is told in `news`."""
        ...

    def close(self) -> None:
        """Stop at once; running jobs are lost, their records are not written."""
        ...


class InProcess:
    """One job at a time, here, for debuggers and for machines without processes to spare.

    What a job prints stays on the terminal, a crash is that of this process, and there are no timeouts.

    Args:
        context: What the worker is told.
        stopping: Whether a job is asked to stop, by its key.
    """

    def __init__(self, context: Context, stopping: Callable[[str], bool]) -> None:
        self._worker = Worker(context)
        gc.freeze()  # until the end: a full collection would look at all that was imported, in the midst of a job
        self._stopping = stopping
        self._waiting: list[tuple[str, dict[str, Any]]] = []

    @property
    def idle(self) -> int:
        """One while nothing waits."""
        return 1 - len(self._waiting)

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Keep the job for `news`."""
        self._waiting.append((job, dict(request)))

    def news(self, timeout: float) -> list[Message]:
        """Run the job; without one, wait."""
        if not self._waiting:
            threading.Event().wait(timeout)
            return []
        job, request = self._waiting.pop()
        messages: list[Message] = []
        lost = threading.Event()
        around = Surroundings(messages.append, lambda: lost.is_set() or self._stopping(job), lost.set)
        last = attempt(self._worker, job, request, around)
        return [*messages, last]

    def cancel(self, job: str) -> None:
        """The job asks by itself."""

    def close(self) -> None:
        """Nothing to stop."""
        gc.unfreeze()
