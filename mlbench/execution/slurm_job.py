"""What SLURM runs: one run, on whatever machine it lands, until it is done or its time is up."""

import json
import signal
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from submitit.core.job_environment import JobEnvironment
from submitit.helpers import DelayedSubmission

from mlbench.execution.message import Message
from mlbench.execution.remote import Host


class SlurmJob:
    """A job that submitit can send away.

    On the signal that announces the end of its time (or a preemption) the training writes a checkpoint and is queued
    again. On SIGTERM, which is what ``scancel`` sends, it writes a checkpoint and ends; the coordinator decides.

    Args:
        task: From `mlbench.execution.remote.task_of`.
        said: File for its messages, one JSON object a line.
    """

    def __init__(self, task: str, said: str) -> None:
        self.task, self.said = task, said

    def __call__(self) -> None:
        """Do it."""
        time_is_up = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
        requeue: Any = signal.getsignal(time_is_up)
        heard: list[int] = []

        def hear(number: int, frame: FrameType | None) -> None:
            heard.append(number)

        for number in (signal.SIGTERM, time_is_up):
            signal.signal(number, hear)
        host = Host()
        try:
            for message in host.carry_out(self.task, lambda: bool(heard)):
                if message.kind == "stopped" and time_is_up in heard:
                    requeue(time_is_up, None)  # ends this process
                self._say(message)
        finally:
            host.close()

    def checkpoint(self) -> DelayedSubmission:
        """What is queued again: the same, since all state is in the store."""
        return DelayedSubmission(self)

    def _say(self, message: Message) -> None:
        with Path(self.said).open("a", encoding="utf-8") as file:  # closed at once: other machines see it then
            file.write(json.dumps(asdict(message)) + "\n")
