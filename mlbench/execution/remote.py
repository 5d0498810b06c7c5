"""A job in the hands of an engine for many machines: wherever it lands, it gets a process of its own, as it does here.

What goes there is plain data, what comes back are the job's messages; all else goes through the store. The engine
tries nothing again: the coordinator decides that, by the rules that it has for processes of its own.
"""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mlbench.execution.context import Context
from mlbench.execution.local import LocalProcesses
from mlbench.execution.message import Message

#: Seconds between two looks at whether the job is to stop.
_PAUSE = 0.25


def task_of(context: Context, job: str, request: Mapping[str, Any]) -> str:
    """A job as text, for any machine that sees the same folders."""
    context = replace(context, store=str(Path(context.store).absolute()))
    return json.dumps({"context": asdict(context), "folder": os.getcwd(), "job": job, "request": dict(request)})


class Host:
    """Does one job after another on this machine. The process that has imported everything stays for the next one."""

    def __init__(self) -> None:
        self._serves: Any = None
        self._pool: LocalProcesses | None = None

    def carry_out(self, task: str, stopping: Callable[[], bool]) -> Iterator[Message]:
        """Do a job.

        Args:
            task: From `task_of`.
            stopping: Whether it is to stop; a training writes a checkpoint first.

        Yields:
            Its messages, as they come. Only the last one is not ``told``.
        """
        content = json.loads(task)
        job, asked = content["job"], False
        if (missing := _missing(content)) is not None:
            yield missing
            return
        os.chdir(content["folder"])  # paths in a benchmark are relative to where the command was given
        pool = self._pool_for(content["context"])
        pool.submit(job, content["request"])
        while True:
            if not asked and stopping():
                asked = True
                pool.cancel(job)
            for message in pool.news(_PAUSE):
                yield message
                if message.kind != "told":
                    return

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.close()
        self._pool = None

    def _pool_for(self, context: dict[str, Any]) -> LocalProcesses:
        serves = context, os.environ.get("CUDA_VISIBLE_DEVICES")  # an engine may give the next job another GPU
        if self._pool is None or self._serves != serves:
            self.close()
            self._serves, self._pool = serves, LocalProcesses(Context(**context), [context["device"]])
        return self._pool


def _missing(task: Mapping[str, Any]) -> Message | None:
    """What to say if this machine does not see the folders of the others."""
    for folder in (task["folder"], task["context"]["store"]):
        if not os.path.isdir(folder):
            text = f"{folder}: not there on {platform.node()}; all machines must see this folder under this path"
            return Message("fatal", task["job"], {"error": "StoreError", "text": text})
    return None
