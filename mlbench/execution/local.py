"""Worker processes on this machine, each run in one of its own."""

import json
import os
import queue
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlbench.execution.context import Context
from mlbench.execution.failures import STOPPED, how_it_died
from mlbench.execution.logs import last_words
from mlbench.execution.message import Message
from mlbench.registry.child import python_module
from mlbench.spec import digest
from mlbench.store import Store

#: So many processes in a row may die before they are ready, killed from outside, until that is called hopeless.
_STARTS = 3


@dataclass(eq=False)
class _Server:
    """A process that runs ``python -m mlbench.execution.serve``.

    Attributes:
        device: Where it computes.
        job: What it works on.
        log: Where the last words of the job will be.
        last: What the job said last, told when its process has ended.
        ready: Whether it has got as far as taking jobs.
    """

    process: subprocess.Popen[str]
    device: str
    job: str | None = None
    log: Path | None = None
    last: Message | None = None
    ready: bool = False


class LocalProcesses:
    """A fixed number of jobs at once, each in a process of its own that was started before it was needed.

    (Not `multiprocessing`: spawning through it runs the caller's script again.)

    Args:
        context: What workers are told; each has its own device.
        devices: Where each of the jobs computes that run at once. Several may name one device, and share it.
    """

    def __init__(self, context: Context, devices: Sequence[str]) -> None:
        self._context = replace(context, forks=context.device == "cpu" and hasattr(os, "pidfd_open"))
        self._store = Store(context.store)
        # Simple: a signal handler may interrupt it anywhere.
        self._heard: queue.SimpleQueue[tuple[_Server, Message]] = queue.SimpleQueue()
        self._devices = tuple(devices)
        self._failed_starts = 0
        self._waiting: list[_Server] = []
        self._running: dict[str, _Server] = {}
        for device in devices:
            self._waiting.append(self._start(device))

    @property
    def idle(self) -> int:
        """Number of free workers."""
        return len(self._devices) - len(self._running)

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Hand the job to a waiting process."""
        server = self._least_busy()
        server.job, server.last, server.log = job, None, self._store.log(digest(request))
        self._running[job] = server
        _send(server, {"job": job, "request": dict(request)})
        if not self._context.forks:
            self._waiting.append(self._start(server.device))  # its successor imports while it works

    def news(self, timeout: float) -> list[Message]:
        """Wait until a worker says something or ends."""
        try:
            server, message = self._heard.get(timeout=timeout)
        except queue.Empty:
            return []
        if message.kind == "told":
            return [message]
        if message.kind == "ready":
            server.ready, self._failed_starts = True, 0
        elif message.kind == "ended":
            return self._ended(server, message.content)
        elif message.kind == "gone":
            return self._gone(server, message.content)
        else:
            server.last = message
            return [message] if message.kind == "fatal" else []
        return []

    def cancel(self, job: str) -> None:
        """Tell its process."""
        if server := self._running.get(job):
            _send(server, {"cancel": job})

    def close(self) -> None:
        """Kill the processes, with everything that they started. Commits are atomic: nothing half-written is left."""
        servers = [*self._running.values(), *self._waiting]
        for server in servers:
            kill(server.process)
        for server in servers:
            _bury(server)

    def _least_busy(self) -> _Server:
        """A waiting process on the device with the fewest jobs; a new one in the place of one that was killed."""
        busy = Counter(server.device for server in self._running.values())
        free = Counter(self._devices) - busy
        device = min(free, key=lambda device: busy[device])
        waiting = next((server for server in self._waiting if server.device == device), None)
        if waiting is None:
            return self._start(device)
        self._waiting.remove(waiting)
        return waiting

    def _ended(self, server: _Server, code: int) -> list[Message]:
        """The process of a job has ended; the one that it was copied from waits for the next."""
        assert server.job is not None
        message = self._last(server, code)
        del self._running[server.job]
        server.job = None
        self._waiting.append(server)
        return [message]

    def _gone(self, server: _Server, code: int) -> list[Message]:
        """A process has ended."""
        _bury(server)
        if server.job is None:
            self._waiting.remove(server)
            return self._not_started(code) if not server.ready else []
        del self._running[server.job]
        if not server.ready and (fatal := self._not_started(code)):
            return fatal
        return [self._last(server, code)]

    def _not_started(self, code: int) -> list[Message]:
        self._failed_starts += 1
        if code < 0 and self._failed_starts < _STARTS:
            return []
        text = f"a worker process ended before it was ready ({how_it_died(code, '')[1]}); its own words are above"
        return [Message("fatal", "", {"error": "MlbenchError", "text": text})]

    def _last(self, server: _Server, code: int) -> Message:
        assert server.job is not None and server.log is not None
        if server.last is not None and code in (0, STOPPED):
            return server.last
        if code == STOPPED:
            return Message("stopped", server.job)
        reason, error = how_it_died(code, last_words(server.log))
        return Message("died", server.job, {"reason": reason, "error": error})

    def _start(self, device: str) -> _Server:
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
        server = _Server(process, device)
        threading.Thread(target=self._listen, args=(server,), daemon=True).start()
        share = self._context.gpu_share / self._devices.count(device)
        _send(server, {"context": asdict(replace(self._context, device=device, gpu_share=share))})
        return server

    def _listen(self, server: _Server) -> None:
        assert server.process.stdout is not None
        with server.process.stdout as lines, suppress(ValueError):  # a line cut off by the worker's death
            for line in lines:
                self._heard.put((server, Message(**json.loads(line))))
        self._heard.put((server, Message("gone", "", server.process.wait())))


def _send(server: _Server, message: Mapping[str, Any]) -> None:
    assert server.process.stdin is not None
    with suppress(OSError):  # it died: its reader says so in `news`
        server.process.stdin.write(json.dumps(message) + "\n")
        server.process.stdin.flush()


def kill(process: subprocess.Popen[str]) -> None:
    """End a process that leads a session, with everything that it started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _bury(server: _Server) -> None:
    """Wait for a process that is ending and give its pipe back; its reader closes the other one."""
    assert server.process.stdin is not None
    server.process.wait()
    with suppress(OSError):  # what was still on its way to it
        server.process.stdin.close()
