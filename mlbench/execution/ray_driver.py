"""A process that speaks with Ray for the coordinator: jobs in on standard input, news out on standard output.

Ray ends the process that speaks with it when it loses its head node, and takes its signals; so that is not the
coordinator.
"""

import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

import ray

from mlbench.execution.message import Message
from mlbench.execution.remote import Host

#: Seconds between two looks at what the coordinator says, and between two at how large the cluster is.
_PAUSE, _COUNT = 0.1, 10.0
#: Seconds for a machine to answer.
_ANSWER = 10.0
#: Bytes of Ray's object store on this machine, about the least that it takes: a job is a page of text.
_OBJECTS = 100 << 20

_host = Host()


def on_ray(task: str) -> Iterator[str]:
    """Do a job in a worker of Ray, which calls this, and pass on what it says; `ray.cancel` interrupts it."""
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: stop.set())
    try:
        for message in _host.carry_out(task, stop.is_set):
            yield json.dumps(asdict(message))
    finally:
        signal.signal(signal.SIGINT, before)


class _Driver:
    """Jobs that are with Ray.

    Args:
        out: Where news go.
        needs: ``num_cpus`` and ``num_gpus`` of a job.
    """

    def __init__(self, out: TextIO, needs: dict[str, float]) -> None:
        self._out = out
        self._needs = needs
        self._run = ray.remote(max_retries=0, max_calls=0, num_returns="streaming", **needs)(on_ray)
        self._jobs: dict[Any, str] = {}  # by the stream of its messages
        self._room, self._counted = _slots(needs), time.monotonic()
        say(out, Message("ready", "", self._room))

    def serve(self, heard: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
        """Until the coordinator is gone."""
        while True:
            try:
                message = heard.get(timeout=0.0 if self._jobs else _COUNT)
            except queue.Empty:
                self._look()
                continue
            if message is None:
                return
            if "cancel" in message:
                for stream in [stream for stream, job in self._jobs.items() if job == message["cancel"]]:
                    ray.cancel(stream)
            else:
                self._jobs[self._run.remote(message["task"])] = message["job"]

    def _look(self) -> None:
        heard, _ = ray.wait(list(self._jobs), timeout=_PAUSE) if self._jobs else ([], [])
        for stream in heard:
            message = _next(self._jobs[stream], stream)
            if message.kind != "told":
                del self._jobs[stream]
            say(self._out, message)
        if time.monotonic() - self._counted > _COUNT:
            self._count()

    def _count(self) -> None:
        """Tell when nodes came or went."""
        room, self._counted = _slots(self._needs), time.monotonic()
        if room != self._room:
            self._room = room
            say(self._out, Message("room", "", room))


def _next(job: str, stream: Any) -> Message:
    try:
        return Message(**json.loads(ray.get(next(stream))))
    except (ray.exceptions.TaskCancelledError, StopIteration):
        return Message("stopped", job)
    except ray.exceptions.OutOfMemoryError as error:
        return Message("died", job, {"reason": "memory", "error": str(error)})
    except ray.exceptions.RayError as error:
        return Message("died", job, {"reason": "killed", "error": f"{type(error).__name__}: {error}"})


def _slots(needs: dict[str, float]) -> int:
    """How many jobs the cluster has room for; each is on one node."""
    asked = [(name, needs[key]) for key, name in (("num_cpus", "CPU"), ("num_gpus", "GPU")) if needs[key]]
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(int(min(there.get(name, 0.0) / much for name, much in asked)) for there in nodes)


def _knock(address: str) -> None:
    """Raise at once if nobody is at ``host:port``: Ray itself waits for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()


def say(out: TextIO, message: Message) -> None:
    """A line for the coordinator."""
    out.write(json.dumps(asdict(message)) + "\n")
    out.flush()


def main() -> None:
    """Connect and serve."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Ray prints goes to standard error, not into the conversation
    first = json.loads(sys.stdin.readline())
    own = {"num_cpus": first["cpus"], "include_dashboard": False, "object_store_memory": _OBJECTS}
    try:
        _knock(first["address"] or "")
        ray.init(
            address=first["address"] or "local",
            logging_level="ERROR",
            log_to_driver=False,
            **(own if first["address"] is None else {}),
        )
    except Exception as error:  # whatever Ray raises about an address
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        say(out, Message("unreachable", "", reason))
        return
    heard: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            heard.put(json.loads(line))
        heard.put(None)

    threading.Thread(target=listen, daemon=True).start()
    _Driver(out, first["needs"]).serve(heard)
    ray.shutdown()


if __name__ == "__main__":
    # As a module: Ray's workers find its functions by their names, and `__main__` is another module there.
    from mlbench.execution import ray_driver

    ray_driver.main()
