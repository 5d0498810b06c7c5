"""Really on Ray: the bytes of the local executor, also if a worker is killed. `make test-cluster`."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "mlbench"))

from accidents import said, small

import mlbench
from mlbench.execution.watch import Watch
from mlbench.store import Store

pytest.importorskip("ray", reason="pip install 'mlbench-dml[ray]'")
METHODS = ({"name": "Contrastive", "loss": "contrastive"}, "Untrained")


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    """The study on the local executor."""
    return said(Store(mlbench.run(study(tiny, workers=2), store=tmp_path_factory.mktemp("local") / "store").store))


def study(tiny, **runtime):
    tables = small(tiny, *METHODS, checkpoint_every=0.0, **runtime)
    return tables | {"training": tables["training"] | {"iterations_per_epoch": 40}}


class AtFirst(Watch):
    """Does something when the first training has begun."""

    def __init__(self, store, action):
        super().__init__()
        self.store, self.action, self.said = store, action, []

    def started(self, job, run):
        super().started(job, run)
        if self.action:
            action, self.action = self.action, None
            threading.Thread(target=self._wait, args=(action,), daemon=True).start()

    def _wait(self, action):
        while not list(self.store.glob("checkpoints/*/*")):
            time.sleep(0.1)
        action()

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


def test_two_workers_leave_the_bytes_of_the_local_executor(tiny, tmp_path, undisturbed):
    result = mlbench.run(study(tiny, executor="ray", workers=2), store=tmp_path / "store")
    assert not result.summary.failed and said(Store(result.store)) == undisturbed
    again = mlbench.run(study(tiny, executor="ray", workers=2), store=tmp_path / "store")
    assert not again.summary.done and len(again.summary.cached) == again.summary.total


def test_a_killed_worker_loses_nothing(tiny, tmp_path, undisturbed):
    store = tmp_path / "store"

    def kill():
        for process in processes("ray::on_ray")[:1]:
            os.kill(process, signal.SIGKILL)

    watch = AtFirst(store, kill)
    result = mlbench.run(study(tiny, executor="ray", workers=2), store=store, watch=watch)
    assert watch.action is None and '"retried"' in (store / "events.jsonl").read_text()
    assert not result.summary.failed and said(Store(store)) == undisturbed
