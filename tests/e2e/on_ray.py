"""Really on Ray: the bytes of the local executor, also if a worker or the head is killed. `make test-cluster`."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "mlbench"))

from accidents import said, small

import mlbench
from mlbench.execution import ray_pool
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


@contextmanager
def head(port, folder):
    """A cluster of one machine, in processes of its own."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={port}", "--num-cpus=2"]
    command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}", "--block"]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


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


def test_a_killed_head_loses_nothing_and_the_same_call_goes_on(tiny, tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr(ray_pool, "_PATIENCE", 5.0)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", uuid.uuid4().hex * 2)
    store, address = tmp_path / "store", "127.0.0.1:26379"
    runtime = {"executor": "ray", "address": address, "workers": 2}
    folder = f"/tmp/ray-{os.getpid()}"  # a path of sockets must be short
    with head(26379, folder):

        def kill():
            for process in processes(folder):
                os.kill(process, signal.SIGKILL)

        watch = AtFirst(store, kill)
        with pytest.raises(KeyboardInterrupt):
            mlbench.run(study(tiny, **runtime), store=store, watch=watch)
    assert "lost Ray; looking for it" in watch.said
    result = mlbench.run(study(tiny, workers=1), store=store)
    assert not result.summary.failed and said(Store(store)) == undisturbed
