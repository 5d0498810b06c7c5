"""What the tests of clusters share: a study of some seconds, and something that happens in the middle of it."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from accidents import said, small

import mlbench
from mlbench.execution.control import ask_to_cancel
from mlbench.execution.watch import Watch
from mlbench.store import Store


def study(tiny, ranks=1, **runtime):
    """Two trainings of 240 steps, each of which leaves a checkpoint, and a test."""
    tables = small(tiny, {"name": "Contrastive", "loss": "contrastive"}, checkpoint_every=0.0, **runtime)
    return tables | {"training": tables["training"] | {"iterations_per_epoch": 120, "ranks": ranks}}


class AtFirst(Watch):
    """Does something once a training has left its first checkpoint of this command.

    Attributes:
        said: What a user would read.
        action: What is still to be done.
    """

    def __init__(self, store, action):
        super().__init__()
        self.store, self.action, self.said = store, action, []

    def started(self, job, run):
        super().started(job, run)
        if self.action:
            action, self.action = self.action, None
            threading.Thread(target=self._wait, args=(action, self._checkpoints()), daemon=True).start()

    def _wait(self, action, before):
        while not self._checkpoints() - before:
            time.sleep(0.1)
        action()

    def _checkpoints(self):
        return set(self.store.glob("checkpoints/*/*.ckpt"))

    def note(self, text):
        self.said.append(text)


def processes(text):
    """Ids of processes whose command line has a text."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in file.read_bytes().replace(b"\0", b" "):
                found.append(int(file.parent.name))
        except OSError:
            pass
    return found


def events(store, kind):
    """The events of a kind, without their times."""
    lines = map(json.loads, (store / "events.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "time"} for line in lines if line["event"] == kind]


def validated(store):
    """What a study said of its validations, whoever ran them and in whatever order."""
    return sorted(events(store, "validated"), key=lambda event: (event["job"], event["epoch"]))


def logs(store):
    """What all runs printed."""
    return "".join(file.read_text() for file in (store / "logs").glob("*.log"))


def stop_and_go_on(tables, store, here):
    """Ask a study to stop in every way that there is; in the end it is as the one here, which nobody asked."""

    def interrupted(action):
        watch = AtFirst(store, lambda: action(watch))
        with pytest.raises(KeyboardInterrupt):  # exit code 75 of the command
            mlbench.run(tables, store=store, watch=watch)
        return [record for record in Store(store).records() if record.role == "reproduction"]

    def cancel(watch):
        ask_to_cancel(Store(store), None)

    def press(watch):
        os.kill(os.getpid(), signal.SIGINT)

    def press_twice(watch):
        press(watch)
        while not any("Ctrl-C again" in text for text in watch.said):  # two signals at once are one
            time.sleep(0.02)
        press(watch)

    assert not interrupted(cancel)
    assert not interrupted(press_twice)
    assert logs(store).count("stopped in epoch") >= 2 and "goes on in epoch" in logs(store)
    assert interrupted(press) and not events(store, "failed") and not events(store, "retried")
    result = mlbench.run(tables, store=store)
    assert not result.summary.failed and said(Store(store)) == said(Store(here))
    assert all(event in validated(here) for event in validated(store)) and validated(store)
