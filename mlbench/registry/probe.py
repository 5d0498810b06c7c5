"""Imports plugins in a process of their own, since importing may do anything: raise, exit, print, never end."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import TextIO

from mlbench.api.errors import PluginError
from mlbench.registry.child import python_module
from mlbench.registry.entries import Entry, find
from mlbench.registry.loading import load

#: Seconds that importing one component may take; the first one brings torch with it, perhaps from a cold disk.
LIMIT = 120.0


def probe(wanted: Sequence[Entry], limit: float = LIMIT) -> Iterator[tuple[Entry, str | None]]:
    """Import every entry; yields each with what went wrong, or None.

    A process imports one after another, and is replaced when one fails: what that one left behind must not count
    against the next.
    """
    left = list(wanted)
    while left:
        with_faults = _run(tuple(left), limit)
        for fault in with_faults:
            yield left.pop(0), fault
            if fault:
                with_faults.close()


def _run(wanted: Sequence[Entry], limit: float) -> Generator[str | None]:
    """What one process says of every entry, until it ends."""
    command, environment = python_module("mlbench.registry.probe")
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    heard: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_listen, args=(process.stdout, heard), daemon=True)
    reader.start()
    try:
        with suppress(OSError):
            process.stdin.write("".join(json.dumps([entry.kind, entry.id]) + "\n" for entry in wanted))
            process.stdin.close()
        if not heard.get():  # else it is up, and what follows is the plugin's own time
            heard.put("")
        for entry in wanted:
            yield _fault(entry, heard, process, limit)
    finally:
        process.kill()
        process.wait()
        reader.join()


def _fault(entry: Entry, heard: "queue.Queue[str]", process: "subprocess.Popen[str]", limit: float) -> str | None:
    remedy = f"update or remove {entry.distribution} ({entry.origin})"
    try:
        line = heard.get(timeout=limit)
    except queue.Empty:
        return f"{entry.id}: importing it did not end within {limit:g} s; {remedy}"
    if not line:
        return f"{entry.id}: importing it ended the process (exit code {process.wait()}); {remedy}"
    said: str | None = json.loads(line)
    return said


def _listen(lines: TextIO, heard: "queue.Queue[str]") -> None:
    with lines:
        for line in lines:
            heard.put(line)
    heard.put("")


def _answer() -> None:
    """The other process: one line when it is up, then one for every entry."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a plugin prints stays out of the conversation
    print(json.dumps("ready"), file=out, flush=True)
    for kind, identifier in map(json.loads, sys.stdin.readlines()):
        try:
            load(find(kind, identifier))
            said = None
        except PluginError as error:
            said = str(error)
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    _answer()
