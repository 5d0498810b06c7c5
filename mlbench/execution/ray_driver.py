"""A process that speaks with Ray for the coordinator: jobs in on standard input, news out on standard output.

Ray ends the process that speaks with it when it loses its head node, and takes its signals; so that is not the
coordinator.
"""

import json
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from typing import Any, TextIO

import ray

from mlbench.execution.message import Message
from mlbench.execution.remote import Host

#: Seconds between two looks at what the coordinator says.
_PAUSE = 0.1

_host = Host()


def on_ray(task: str) -> str:
    """Do a job in a worker of Ray, which calls this; `ray.cancel` interrupts it."""
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: stop.set())
    try:
        return json.dumps(asdict(_host.carry_out(task, stop.is_set)))
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
        self._run = ray.remote(max_retries=0, max_calls=0, **needs)(on_ray)
        self._jobs: dict[Any, str] = {}

    def serve(self, heard: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
        """Until the coordinator is gone."""
        while True:
            try:
                message = heard.get(timeout=None if not self._jobs else 0.0)
            except queue.Empty:
                self._wait()
                continue
            if message is None:
                return
            if "cancel" in message:
                for reference in [reference for reference, job in self._jobs.items() if job == message["cancel"]]:
                    ray.cancel(reference)
            else:
                self._jobs[self._run.remote(message["task"])] = message["job"]

    def _wait(self) -> None:
        ended, _ = ray.wait(list(self._jobs), timeout=_PAUSE)
        for reference in ended:
            say(self._out, _outcome(self._jobs.pop(reference), reference))


def _outcome(job: str, reference: Any) -> Message:
    try:
        return Message(**json.loads(ray.get(reference)))
    except ray.exceptions.TaskCancelledError:
        return Message("stopped", job)
    except ray.exceptions.OutOfMemoryError as error:
        return Message("died", job, {"reason": "memory", "error": str(error)})
    except ray.exceptions.RayError as error:
        return Message("died", job, {"reason": "killed", "error": f"{type(error).__name__}: {error}"})


def _slots(needs: dict[str, float]) -> int:
    """How many jobs the cluster has room for."""
    there = ray.cluster_resources()
    room = [there.get(name, 0.0) / needs[key] for key, name in (("num_cpus", "CPU"), ("num_gpus", "GPU")) if needs[key]]
    return int(min(room))


def say(out: TextIO, message: Message) -> None:
    """A line for the coordinator."""
    out.write(json.dumps(asdict(message)) + "\n")
    out.flush()


def main() -> None:
    """Connect and serve."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Ray prints goes to standard error, not into the conversation
    first = json.loads(sys.stdin.readline())
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    try:
        local = {"num_cpus": first["cpus"], "include_dashboard": False} if first["address"] is None else {}
        ray.init(address=first["address"] or "local", log_to_driver=False, **local)
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
    say(out, Message("ready", "", _slots(first["needs"])))
    _Driver(out, first["needs"]).serve(heard)
    ray.shutdown()


if __name__ == "__main__":
    # As a module: Ray's workers find its functions by their names, and `__main__` is another module there.
    from mlbench.execution import ray_driver

    ray_driver.main()
