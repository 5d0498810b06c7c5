"""Where jobs run: in this process, or in worker processes that live for many jobs.

A worker that dies takes only its own job with it: the pool says so and starts another.
"""

import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from mlbench.execution.worker import Context, Worker
from mlbench.registry.child import python_module


@dataclass(frozen=True)
class Message:
    """News of a job: ``told`` (a validation), ``done``, ``died`` (its process is gone) or ``fatal`` (stop it all)."""

    kind: str
    job: str
    content: Any = None


class Pool(Protocol):
    """Runs jobs and tells what happens."""

    @property
    def idle(self) -> int:
        """How many more jobs it takes now."""
        ...

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Start a job. Only while ``idle``."""
        ...

    def news(self) -> list[Message]:
        """Wait for something to happen. Only while a job runs."""
        ...

    def close(self) -> None:
        """Stop at once; running jobs are lost, their records are not written."""
        ...


class InProcess:
    """One job at a time, here."""

    def __init__(self, context: Context) -> None:
        self._worker = Worker(context)
        self._waiting: list[tuple[str, Mapping[str, Any]]] = []

    @property
    def idle(self) -> int:
        """One while nothing waits."""
        return 1 - len(self._waiting)

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Keep the job for `news`."""
        self._waiting.append((job, request))

    def news(self) -> list[Message]:
        """Run the job."""
        job, request = self._waiting.pop()
        messages: list[Message] = []
        self._worker.run(request, lambda entry: messages.append(Message("told", job, dict(entry))))
        return [*messages, Message("done", job)]

    def close(self) -> None:
        """Nothing to stop."""


@dataclass
class _Slot:
    process: subprocess.Popen[str]
    job: str | None = None


class LocalProcesses:
    """A fixed number of worker processes on this machine.

    Each runs ``python -m mlbench.execution.serve`` and speaks JSON, one message a line, over its standard input and
    output. (Not `multiprocessing`: spawning through it runs the caller's script again.)
    """

    def __init__(self, context: Context, workers: int) -> None:
        self._context = context
        self._heard: queue.Queue[tuple[_Slot, Message]] = queue.Queue()
        self._slots = [self._start() for _ in range(workers)]

    @property
    def idle(self) -> int:
        """Number of free workers."""
        return sum(slot.job is None for slot in self._slots)

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Hand the job to a free worker."""
        slot = next(slot for slot in self._slots if slot.job is None)
        slot.job = job
        try:
            _send(slot, {"job": job, "request": dict(request)})
        except OSError:
            pass  # it died while idle: its reader says so in `news`

    def news(self) -> list[Message]:
        """Wait until a worker says something or dies."""
        slot, message = self._heard.get()
        if message.kind == "died":
            _bury(slot)
            self._slots[self._slots.index(slot)] = self._start()
            return [Message("died", slot.job, message.content)] if slot.job else []
        if message.kind != "told":
            slot.job = None
        return [message]

    def close(self) -> None:
        """Kill the workers. Commits are atomic, so nothing half-written can be left."""
        for slot in self._slots:
            slot.process.kill()
        for slot in self._slots:
            _bury(slot)

    def _start(self) -> _Slot:
        command, environment = python_module("mlbench.execution.serve")
        # A session of its own: Ctrl-C in the terminal reaches the coordinator alone, which then decides.
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        slot = _Slot(process)
        threading.Thread(target=self._listen, args=(slot,), daemon=True).start()
        try:
            _send(slot, {"context": self._context.__dict__})
        except OSError:
            pass
        return slot

    def _listen(self, slot: _Slot) -> None:
        assert slot.process.stdout is not None
        with slot.process.stdout as lines, suppress(ValueError):  # a line cut off by the worker's death
            for line in lines:
                self._heard.put((slot, Message(**json.loads(line))))
        self._heard.put((slot, Message("died", "", slot.process.wait())))


def _send(slot: _Slot, message: Mapping[str, Any]) -> None:
    assert slot.process.stdin is not None
    slot.process.stdin.write(json.dumps(message) + "\n")
    slot.process.stdin.flush()


def _bury(slot: _Slot) -> None:
    """Wait for a process that is ending and give its pipe back; its reader closes the other one."""
    assert slot.process.stdin is not None
    slot.process.wait()
    with suppress(OSError):  # what was still on its way to it
        slot.process.stdin.close()
