"""The life of a further process of a run: one order in on standard input, which is also what it lives by.

It says ``ready`` on standard output when its data are open, and one JSON object if it fails. It ends when the first
rank closes the pipe or is gone, whatever it is doing.
"""

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any, TextIO

from mlbench.execution.context import Context
from mlbench.execution.failures import out_of_memory, tail_of
from mlbench.execution.launch import joined, meeting
from mlbench.execution.worker import Worker
from mlbench.training import Keeper


def main() -> None:
    """Train with the others."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what is printed goes into the run's log
    for number in (signal.SIGINT, signal.SIGTERM):  # the first rank decides
        signal.signal(number, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        _train(order, out)
    except BaseException as error:
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}\n{tail_of(error)}"
        _say(out, json.dumps({"reason": "memory" if out_of_memory(error) else "error", "error": text}))
        os._exit(1)


def _train(order: dict[str, Any], out: TextIO) -> None:
    worker = Worker(Context(**order["context"]))
    worker.prepare(order["request"])
    _say(out, "ready")
    rank, world_size = order["rank"], order["world_size"]
    with joined(meeting(world_size, order["port"]), rank, world_size, order["context"]["device"]) as ranks:
        worker.train(order["request"], ranks, lambda entry: None, Keeper())


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


def _say(out: TextIO, line: str) -> None:
    out.write(line + "\n")
    out.flush()


if __name__ == "__main__":
    main()
