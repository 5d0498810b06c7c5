"""The life of a worker process: jobs in on standard input, news out on standard output, one JSON object a line.

Every run gets a process of its own. Where that is safe the process that has imported everything and opened the dataset
copies itself for each job (`fork`): nothing is imported or opened twice. It never computes itself, so that it has no
threads that a copy would miss. Elsewhere (CUDA, macOS, Windows) it does one job itself and ends, and the coordinator
has the next one start meanwhile.
"""

import gc
import json
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TextIO

import torch

from mlbench.api.errors import MlbenchError
from mlbench.execution.attempt import Surroundings, attempt
from mlbench.execution.context import Context
from mlbench.execution.failures import STOPPED
from mlbench.execution.guard import give_up, listen
from mlbench.execution.message import Message
from mlbench.execution.worker import Worker


def serve() -> None:
    """Work until the coordinator closes the pipe."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever is printed between the jobs goes to standard error, not into the conversation
    torch.set_num_threads(1)
    _import_all()
    threads = _threads()
    ears = _Ears(0)
    try:
        if (first := ears.wait()) is None:
            return
        worker = Worker(Context(**first["context"]))
    except MlbenchError as error:
        _say(out, Message("fatal", "", {"error": type(error).__name__, "text": str(error)}))
        return
    _say(out, Message("ready", ""))
    if worker.context.forks:
        _serve_by_forking(worker, ears, out, threads)
    elif (message := ears.wait()) is not None:
        sys.exit(_do(worker, message, out, 0))


def _import_all() -> None:
    """Have torch import what it puts off until the first step of an optimiser: every copy would spend seconds on it."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    torch.optim.SGD([parameter]).step()


@dataclass
class _Child:
    job: str
    process: int
    lifeline: int

    def stop(self) -> None:
        """Ask it to stop; it also does when this process is gone."""
        with suppress(BrokenPipeError):  # it has just ended
            os.write(self.lifeline, b"\n")

    def reap(self) -> int:
        """Its exit code; negative: a signal."""
        os.close(self.lifeline)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def _serve_by_forking(worker: Worker, ears: "_Ears", out: TextIO, threads: int) -> None:
    child: _Child | None = None
    ending = -1
    while True:
        ready = [0] if ears.heard else select.select([0, *([ending] if child else [])], [], [])[0]
        if child and ending in ready:
            os.close(ending)
            _say(out, Message("ended", child.job, child.reap()))
            child = None
        if 0 not in ready:
            continue
        if (message := ears.wait()) is None:
            if child:
                child.stop()  # now: the end of this process would tell it too, but that can take seconds
            return
        if "cancel" in message:
            if child and child.job == message["cancel"]:
                child.stop()
            continue
        worker.prepare(message["request"])
        if _threads() > threads or threading.active_count() > 1:
            sys.exit(_do(worker, message, out, 0))  # a plugin started threads: no copy would have them
        child = _fork(worker, message, out)
        ending = os.pidfd_open(child.process)


def _fork(worker: Worker, message: dict[str, Any], out: TextIO) -> _Child:
    hearing, lifeline = os.pipe()
    process = os.fork()
    if process:
        os.close(hearing)
        return _Child(message["job"], process, lifeline)
    code = 1
    try:
        os.close(lifeline)
        code = _do(worker, message, out, hearing)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # into the run's log
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # a log on a full disk
                stream.flush()
        os._exit(code)


def _do(worker: Worker, message: dict[str, Any], out: TextIO, lifeline: int) -> int:
    """Do a job in this process, which ends after it; its exit code."""
    stop = threading.Event()
    lifeline = os.dup(lifeline)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a component that asks on the terminal gets no answer
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    listen(lifeline, stop)
    around = Surroundings(lambda told: _say(out, told), stop.is_set, give_up, own_process=True)
    # What is here stays until the end. A full collection of garbage would look at all of it, in the midst of the job,
    # and a copied process would have its memory copied for that.
    gc.freeze()
    last = attempt(worker, message["job"], message["request"], around)
    _say(out, last)
    return STOPPED if last.kind == "stopped" else 0


class _Ears:
    """Messages on a pipe, as they come."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.heard: list[dict[str, Any]] = []

    def wait(self) -> dict[str, Any] | None:
        """The next message; None when the pipe is closed."""
        while not self.heard:
            if not (content := os.read(self._descriptor, 1 << 16)):
                return None
            *lines, self._rest = (self._rest + content).split(b"\n")
            self.heard += map(json.loads, lines)
        return self.heard.pop(0)


def _say(out: TextIO, message: Message) -> None:
    try:
        out.write(json.dumps(asdict(message)) + "\n")
        out.flush()
    except OSError:
        pass  # the coordinator is gone; the pipe from it tells so too


def _threads() -> int:
    """Threads of this process that a copy would not have; 1 where the system does not say."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


if __name__ == "__main__":
    serve()
