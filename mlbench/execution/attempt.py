"""One attempt at one job, wherever it runs: every executor comes down to this."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlbench.api.errors import MlbenchError
from mlbench.execution.failures import out_of_memory, tail_of
from mlbench.execution.guard import Guard
from mlbench.execution.launch import RankDied
from mlbench.execution.logs import Log
from mlbench.execution.message import Message
from mlbench.execution.worker import Hearing, Worker
from mlbench.spec import digest
from mlbench.store.lease import Lease
from mlbench.training import Interrupted


@dataclass
class Surroundings:
    """What an attempt has around it.

    Attributes:
        tell: Hears of every validation.
        stopping: Whether the run is asked to stop.
        lost: Called from another thread when somebody else took the run over.
        own_process: Whether what the process prints is the run's.
    """

    tell: Callable[[Message], None]
    stopping: Callable[[], bool] = field(default_factory=lambda: threading.Event().is_set)
    lost: Callable[[], None] = lambda: None
    own_process: bool = False


def attempt(worker: Worker, job: str, request: dict[str, Any], around: Surroundings) -> Message:
    """Hold the run's lease, do the job and commit its record.

    Args:
        worker: What does it.
        job: Key of the job.
        request: The request.
        around: What it has around it.

    Returns:
        ``done``, ``stopped``, ``busy``, ``died`` (memory ran out) or ``fatal``.
    """
    run = digest(request)
    try:
        lease = worker.store.leases.take(run[:32], {"job": job, "run": run})
        if lease is None:
            return Message("busy", job)
        with Guard(lease, around.lost):
            if worker.store.get(run) is not None:  # committed since the coordinator looked
                return Message("done", job)
            log = Log(worker.store.log(run), job)
            try:
                last = _logged(worker, job, request, around, log, lease)
            finally:
                log.close()
            if last.kind != "done":
                lease.leave()  # what it spent counts for the next attempt
            return last
    except MlbenchError as error:
        return Message("fatal", job, {"error": type(error).__name__, "text": str(error)})


def _logged(worker: Worker, job: str, request: dict[str, Any], around: Surroundings, log: Log, lease: Lease) -> Message:
    def tell(entry: Any) -> None:
        log.validated(entry)
        around.tell(Message("told", job, dict(entry)))

    try:
        if around.own_process:
            log.take_output(worker.context.timeout)
        record = worker.run(request, Hearing(tell, around.stopping, lease.tell, log.note, lease.spent))
    except Interrupted:
        return Message("stopped", job)
    except RankDied as died:
        log.note(str(died))
        return Message("died", job, {"reason": died.reason, "error": str(died)})
    except Exception as error:
        log.note(f"{type(error).__name__}: {error}")
        if not out_of_memory(error):
            raise
        return Message("died", job, {"reason": "memory", "error": f"{type(error).__name__}: {error}\n{tail_of(error)}"})
    log.note(record.outcome + (f": {record.error}" if record.error else ""))
    return Message("done", job)
