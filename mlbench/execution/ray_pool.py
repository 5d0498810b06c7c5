"""Runs on Ray: one task each, on this machine or on a cluster. Ray schedules; everything else is as it is locally."""

import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlbench.execution.context import Context
from mlbench.execution.local import kill
from mlbench.execution.message import Message
from mlbench.execution.remote import task_of
from mlbench.registry.child import python_module

#: Seconds for a cluster to answer at first, and for one that was there to come back; between two attempts.
_FIRST, _PATIENCE, _BETWEEN = 180.0, 60.0, 2.0
#: Seconds for a driver to take leave of Ray.
_LEAVE = 10.0
#: What Ray reads when it is imported: no usage statistics, and runs without a GPU of Ray's see what is there.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(eq=False)
class _Driver:
    process: subprocess.Popen[str]

    def hang_up(self) -> None:
        """Say no more; it ends then, if it has not yet."""
        assert self.process.stdin is not None
        with suppress(OSError):  # what was still on its way to it
            self.process.stdin.close()

    def send(self, message: Mapping[str, Any]) -> None:
        """Say something; if it died, `news` hears of that."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()


class RayPool:
    """Jobs as tasks of Ray.

    Args:
        context: What workers are told.
        workers: How many jobs at once; None for as many as the cluster has room for.
        address: Of the cluster; None starts Ray on this machine, for as long as this lasts.
        needs: ``num_cpus`` and ``num_gpus`` of a job.
        cores: Of this machine.
    """

    def __init__(
        self, context: Context, workers: int | None, address: str | None, needs: Mapping[str, float], cores: int
    ) -> None:
        self._context, self._workers = context, workers
        cpus = max(cores, (workers or 0) * int(needs["num_cpus"]))
        self._first = {"address": address, "cpus": cpus, "needs": dict(needs)}
        self._room = 0
        self._running: set[str] = set()
        self._heard: queue.SimpleQueue[tuple[_Driver, Message]] = queue.SimpleQueue()
        self._was_there = False
        self._lost_at: float | None = time.monotonic()
        self._driver = self._start()

    @property
    def idle(self) -> int:
        """How many more jobs there is room for; none while there is no cluster."""
        return max(0, min(self._room, self._workers or self._room) - len(self._running))

    def submit(self, job: str, request: Mapping[str, Any]) -> None:
        """Make it a task."""
        self._running.add(job)
        self._driver.send({"job": job, "task": task_of(self._context, job, request)})

    def news(self, timeout: float) -> list[Message]:
        """Wait until a task ends, or Ray does."""
        try:
            driver, message = self._heard.get(timeout=timeout)
        except queue.Empty:
            return self._given_up()
        if driver is not self._driver:
            return []
        if message.kind == "ready":
            before, self._was_there, self._lost_at = self._was_there, True, None
            self._room = message.content
            return [] if self._room or before else [self._too_small()]  # after a loss its nodes come one by one
        if message.kind == "room":
            self._room = message.content
            return []
        if message.kind == "unreachable":
            return self._unreachable(message.content)
        if message.kind == "gone":
            return self._lost()
        if message.kind != "told":
            self._running.discard(message.job)
        return [message]

    def cancel(self, job: str) -> None:
        """Have Ray interrupt it."""
        self._driver.send({"cancel": job})

    def close(self) -> None:
        """Take leave of Ray; what it still ran ends."""
        process = self._driver.process
        self._driver.hang_up()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LEAVE)
        kill(process)
        process.wait()

    def _lost(self) -> list[Message]:
        """The driver ended: its head node is gone. Jobs that still run hold their leases; all others are free."""
        if not self._was_there:
            return [self._absent("the process that speaks with Ray ended; its own words are above")]
        stopped = [Message("stopped", job) for job in sorted(self._running)]
        self._running.clear()
        self._room = 0
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            stopped.append(Message("note", "", f"lost Ray; looking for it for {_PATIENCE:.0f} seconds"))
        self._driver.hang_up()
        self._driver = self._start()
        return [*stopped, *self._given_up()]

    def _given_up(self) -> list[Message]:
        """Whether Ray has been away for too long: one attempt at connecting may take longer than that."""
        patience = _PATIENCE if self._was_there else _FIRST
        if self._lost_at is None or time.monotonic() - self._lost_at < patience:
            return []
        if not self._was_there:
            return [self._absent(f"no answer in {patience:.0f} seconds")]
        where = self._first["address"] or "on this machine"
        text = f"Ray ({where}) is gone; what is done is kept, and the same command goes on when there is a Ray again"
        return [Message("lost", "", text)]

    def _unreachable(self, reason: str) -> list[Message]:
        if self._was_there:
            time.sleep(_BETWEEN)  # then its process has ended, and another one tries
            return []
        return [self._absent(reason)]

    def _absent(self, reason: str) -> Message:
        if self._first["address"] is None:
            text = f"executor ray: it does not start on this machine ({reason})"
        else:
            text = (
                f"runtime.address: no Ray at {self._first['address']} ({reason}); start it with `ray start --head`, or "
                "leave the address out; where it wants a token, set RAY_AUTH_MODE=token and the token of its head"
            )
        return Message("fatal", "", {"error": "ConfigError", "text": text})

    def _too_small(self) -> Message:
        text = f"executor ray: nothing in the cluster has room for a run, which needs {self._first['needs']}"
        return Message("fatal", "", {"error": "ConfigError", "text": text})

    def _start(self) -> _Driver:
        command, environment = python_module("mlbench.execution.ray_driver")
        process = subprocess.Popen(
            command,
            env={**environment, **_SETTINGS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the coordinator alone
        )
        driver = _Driver(process)
        threading.Thread(target=self._listen, args=(driver,), daemon=True).start()
        driver.send(self._first)
        return driver

    def _listen(self, driver: _Driver) -> None:
        assert driver.process.stdout is not None
        with driver.process.stdout as lines, suppress(ValueError):
            for line in lines:
                self._heard.put((driver, Message(**json.loads(line))))
        driver.process.wait()
        self._heard.put((driver, Message("gone", "")))
