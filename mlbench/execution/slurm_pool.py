"""Runs on SLURM through submitit: those that start together are one array. Their answers are files in the store."""

import json
import os
import signal
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submitit import AutoExecutor

from mlbench.execution.logs import last_words
from mlbench.execution.message import Message
from mlbench.execution.remote import task_of
from mlbench.execution.slurm_job import SlurmJob
from mlbench.execution.worker import Context
from mlbench.spec import Slurm, digest
from mlbench.store import Store
from mlbench.store.quarantine import made

#: Seconds between two looks at the answers.
_PAUSE = 1.0
#: A run may use up its time so often: it goes on each time. One that is not to has a `runtime.timeout`.
_REQUEUES = 1000
#: States in which a job ended that is not to blame, and in which memory ran out.
_NOT_ITS_FAULT, _MEMORY = ("PREEMPTED", "REVOKED"), ("OUT_OF_MEMORY",)


@dataclass
class _Sent:
    submitted: Any
    answer: Path
    log: Path
    asked: bool = False


class SlurmPool:
    """Jobs as jobs of SLURM.

    Args:
        context: What workers are told.
        workers: How many are at most in the queue or running; with submitit's local stand-in, which starts all at
            once, how many run.
        slurm: What to ask SLURM for.
        ranks: Processes of a run, each with its GPU.
    """

    def __init__(self, context: Context, workers: int, slurm: Slurm, ranks: int = 1) -> None:
        self._context, self._workers, self._slurm = context, workers, slurm
        self._store = Store(Path(context.store).absolute())
        self._folder = self._store.path / "slurm"
        made(self._folder)
        self._executor = AutoExecutor(self._folder, cluster=slurm.cluster, slurm_max_num_timeout=_REQUEUES)
        self._executor.update_parameters(**_parameters(context, workers, slurm, ranks))
        self._new: list[tuple[str, Mapping[str, Any]]] = []
        self._sent: dict[str, _Sent] = {}

    @property
    def idle(self) -> int:
        """How many more may be queued."""
        return self._workers - len(self._new) - len(self._sent)

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Keep it for the next array."""
        self._new.append((job, request))

    def news(self, timeout: float) -> list[Message]:
        """Queue what is new, and look at what was answered."""
        self._send()
        until = time.monotonic() + timeout
        while not (ended := [job for job, sent in self._sent.items() if sent.submitted.done()]):
            if time.monotonic() >= until:
                return []
            time.sleep(min(_PAUSE, timeout))
        return [_outcome(job, self._sent.pop(job)) for job in ended]

    def cancel(self, job: str) -> None:
        """Cancel it: a run that waits ends at once, one that runs writes a checkpoint first."""
        if (sent := self._sent.get(job)) is None:
            return
        sent.asked = True
        if self._slurm.cluster == "slurm":
            sent.submitted.cancel(check=False)
        else:  # submitit's own way gives it a second
            with suppress(ProcessLookupError):
                os.kill(int(sent.submitted.job_id), signal.SIGTERM)

    def close(self) -> None:
        """Cancel everything."""
        for job, sent in self._sent.items():
            if not sent.asked:
                self.cancel(job)

    def _send(self) -> None:
        if not self._new:
            return
        sent: list[tuple[str, _Sent]] = []
        with self._executor.batch():
            for job, request in self._new:
                answer = self._folder / f"{uuid.uuid4().hex}.json"
                submitted = self._executor.submit(SlurmJob(task_of(self._context, job, request), str(answer)))
                sent.append((job, _Sent(submitted, answer, self._store.log(digest(request)))))
        self._sent |= dict(sent)
        self._new.clear()


def _parameters(context: Context, workers: int, slurm: Slurm, ranks: int) -> dict[str, Any]:
    """In submitit's words."""
    wanted = {name: getattr(slurm, name) for name in ("partition", "gres", "mem", "account", "qos", "constraint")}
    gpus = ranks if context.device != "cpu" and slurm.gres is None else None
    return {
        "name": "mlbench",
        "timeout_min": slurm.time,
        "cpus_per_task": context.threads * ranks,
        **({"gpus_per_node": gpus} if gpus else {}),
        "slurm_array_parallelism": workers,
        "slurm_additional_parameters": {"requeue": True, **slurm.options},
        **({"slurm_setup": list(slurm.setup)} if slurm.setup else {}),
        **{f"slurm_{name}": value for name, value in wanted.items() if value is not None},
    }


def _outcome(job: str, sent: _Sent) -> Message:
    """Its answer, or how it ended without one."""
    with suppress(FileNotFoundError):
        message = Message(**json.loads(sent.answer.read_text(encoding="utf-8")))
        sent.answer.unlink()
        return message
    state = str(sent.submitted.state)
    if sent.asked or state.startswith(_NOT_ITS_FAULT):
        return Message("stopped", job)
    reason = "memory" if state.startswith(_MEMORY) else "killed"
    said = sent.submitted.stderr() or ""
    error = (
        f"SLURM job {sent.submitted.job_id} ended without an answer ({state})\n{said[-2000:]}\n{last_words(sent.log)}"
    )
    return Message("died", job, {"reason": reason, "error": error.strip()})
