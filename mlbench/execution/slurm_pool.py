"""Runs on SLURM through submitit: those that start together are one array. They speak through files in the store."""

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submitit import AutoExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.slurm.slurm import SlurmInfoWatcher

from mlbench.execution.context import Context
from mlbench.execution.logs import last_words
from mlbench.execution.message import Message
from mlbench.execution.remote import task_of
from mlbench.execution.slurm_job import SlurmJob
from mlbench.spec import Slurm, digest
from mlbench.store import Store
from mlbench.store.quarantine import made

#: Seconds between two looks at what jobs say.
_PAUSE = 1.0
#: Seconds between two questions to SLURM how they are; while there are some that were cancelled from here.
_POLL, _CANCELLED = 30.0, 3.0
#: Seconds after which `sbatch` is asked again when it failed: each time twice as many, until these are too many.
_AGAIN, _TOO_LONG = 5.0, 300.0
#: A run may use up its time so often: it goes on each time. One that is not to has a `runtime.timeout`.
_REQUEUES = 1000
#: How the states begin of a job that has ended: SLURM's and those of submitit's stand-in.
_ENDED = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_ME", "TIMEOUT")
_ENDED_LOCALLY, _LOCALLY_RUNNING = ("FINISHED", "INTERRUPTED"), "RUNNING"
#: States of a job that has ended and is not to blame, unless SLURM queues it again: then it has another one soon.
_NOT_ITS_FAULT = ("PREEMPTED", "REVOKED")


@dataclass
class _Sent:
    """A job that was queued.

    Attributes:
        submitted: What submitit knows of it.
        said: File of its messages; ``read`` bytes of them were heard.
        log: Where its last words will be.
        asked: Whether it was cancelled from here.
        preempted: Whether the last look found it so.
        last: Its last message.
    """

    submitted: Any
    said: Path
    log: Path
    read: int = 0
    asked: bool = False
    preempted: bool = False
    last: Message | None = None

    def news(self) -> list[Message]:
        """What it said since the last look."""
        try:
            with self.said.open("rb") as file:
                file.seek(self.read)
                new = file.read()
        except OSError:  # a disk that is away for a while
            return []
        new = new[: new.rfind(b"\n") + 1]  # the rest of a line is still on its way
        self.read += len(new)
        return [Message(**json.loads(line)) for line in new.splitlines()]


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
        self._new: dict[str, Mapping[str, Any]] = {}
        self._sent: dict[str, _Sent] = {}
        self._dropped: list[str] = []
        self._pause, self._again = _AGAIN, 0.0
        self._heard = self._polled = -_POLL

    @property
    def idle(self) -> int:
        """How many more may be queued."""
        return self._workers - len(self._new) - len(self._sent)

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Keep it for the next array."""
        self._new[job] = request

    def news(self, timeout: float) -> list[Message]:
        """Queue what is new, and hear what jobs say or, from SLURM, that they ended without a word."""
        news = [Message("stopped", job) for job in self._dropped]
        self._dropped.clear()
        news += self._send()
        time.sleep(timeout)
        if time.monotonic() - self._heard < _PAUSE:
            return news
        # The states first: what a job said before it ended is there by then.
        states = self._states()
        news += [message for job in list(self._sent) for message in self._hear(job, states.get(job, ""))]
        self._heard = time.monotonic()
        return news

    def cancel(self, job: str) -> None:
        """Cancel it: a run that waits ends at once, one that runs writes a checkpoint first."""
        if self._new.pop(job, None) is not None:
            self._dropped.append(job)
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

    def _hear(self, job: str, state: str) -> Iterator[Message]:
        sent = self._sent[job]
        for message in sent.news():
            if message.kind == "told":
                yield message
            else:
                sent.last = message
        last = sent.last or _silent_end(job, sent, state)
        if last is not None and state != _LOCALLY_RUNNING:
            del self._sent[job]
            sent.said.unlink(missing_ok=True)
            yield last

    def _states(self) -> dict[str, str]:
        """What is known of how jobs are; of SLURM's only now and then, by one question for all."""
        if self._slurm.cluster != "slurm":
            return {job: str(sent.submitted.state) for job, sent in self._sent.items()}
        every = _CANCELLED if any(sent.asked for sent in self._sent.values()) else _POLL
        if not self._sent or time.monotonic() - self._polled < every:
            return {}
        numbers = {job: sent.submitted.job_id for job, sent in self._sent.items()}
        watcher = SlurmInfoWatcher()  # another each time: it takes a job that is suspended for one that has ended
        for number in numbers.values():
            watcher.register_job(number)
        watcher.update()
        self._polled = time.monotonic()
        return {job: watcher.get_state(number, mode="cache") for job, number in numbers.items()}

    def _send(self) -> list[Message]:
        """Queue what is new; what there is to say if `sbatch` does not take it."""
        if not self._new or time.monotonic() < self._again:
            return []
        sent = {job: self._folder / f"{uuid.uuid4().hex}.jsonl" for job in self._new}
        submitted: dict[str, Any] = {}
        try:
            with self._executor.batch():
                for job, request in self._new.items():
                    sent[job].touch()  # here: another machine's cache may hide a new file, but not what is new in one
                    task = task_of(self._context, job, request)
                    submitted[job] = self._executor.submit(SlurmJob(task, str(sent[job])))
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            for said in sent.values():
                said.unlink(missing_ok=True)
            return self._refused(str(error) or repr(error))
        for job, request in self._new.items():
            self._sent[job] = _Sent(submitted[job], sent[job], self._store.log(digest(request)))
        self._new.clear()
        self._pause = _AGAIN
        return []

    def _refused(self, why: str) -> list[Message]:
        """Ask `sbatch` again later. After too long leave jobs that are queued to themselves: they hold their leases."""
        pause, self._pause = self._pause, 2 * self._pause
        if pause <= _TOO_LONG:
            self._again = time.monotonic() + pause
            return [Message("note", "", f"executor slurm: not queued ({why}); asking again in {pause:.0f} seconds")]
        stopped = [Message("stopped", job) for job in [*self._sent, *self._new]]
        self._sent.clear()
        self._new.clear()
        text = (
            f"executor slurm: runs cannot be queued ({why}); those in the queue go on. See that `sbatch` works here "
            "and that --slurm asks for what there is; then the same command goes on"
        )
        return [*stopped, Message("lost", "", text)]


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


def _silent_end(job: str, sent: _Sent, state: str) -> Message | None:
    """What to say of a job that has ended without a last word; None if it has not."""
    if state.startswith(_NOT_ITS_FAULT):
        before, sent.preempted = sent.preempted, True
        return Message("stopped", job) if before or sent.asked else None
    sent.preempted = sent.preempted and not state
    if not state.startswith(_ENDED + _ENDED_LOCALLY):
        return None
    if sent.asked:
        return Message("stopped", job)
    reason = "memory" if state.startswith("OUT_OF_ME") else "killed"
    said = (sent.submitted.stderr() or "")[-2000:]
    error = f"SLURM job {sent.submitted.job_id} ended without a word ({state})\n{said}\n{last_words(sent.log)}"
    return Message("died", job, {"reason": reason, "error": error.strip()})
