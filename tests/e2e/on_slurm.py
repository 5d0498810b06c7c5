"""Really through submitit's stand-in for SLURM: the bytes of runs here, whatever ends them. `make test-cluster`."""

import os
import signal
import subprocess
import time

import pytest
from accidents import said, small
from clusters import AtFirst, events, processes, stop_and_go_on, study

import mlbench
from mlbench.execution import open_study
from mlbench.execution.context import context_of
from mlbench.spec import Slurm, load_benchmark
from mlbench.store import Store

slurm_pool = pytest.importorskip("mlbench.execution.slurm_pool", reason="pip install 'mlbench-dml[slurm]'")
LOCAL = {"executor": "slurm", "slurm": {"cluster": "local"}, "workers": 1}


@pytest.fixture(scope="module")
def here(tiny, tmp_path_factory):
    """The study on the local executor."""
    return mlbench.run(study(tiny, workers=2), store=tmp_path_factory.mktemp("local") / "store").store


def test_a_job_that_dies_silently_is_noticed_and_loses_nothing(tiny, tmp_path, here):
    store = tmp_path / "store"

    def kill():
        for process in processes("submitit.core._submit"):
            os.kill(process, signal.SIGKILL)

    result = mlbench.run(study(tiny, **LOCAL), store=store, watch=AtFirst(store, kill))
    assert [event["reason"] for event in events(store, "retried")] == ["killed"]
    assert not result.summary.failed and said(Store(store)) == said(Store(here))


def test_runs_that_are_asked_to_stop_keep_their_state(tiny, tmp_path, here):
    stop_and_go_on(study(tiny, **LOCAL), tmp_path / "store", here)


def test_a_run_whose_time_is_up_is_queued_again_and_goes_on(tiny, tmp_path):
    method = {"name": "Long", "loss": "contrastive"}
    tables = small(tiny, method, checkpoint_every=0.0)
    tables["training"] |= {"iterations_per_epoch": 100, "max_epochs": 100, "patience": 100}
    opened = open_study(load_benchmark(tables), tmp_path / "store")
    opened.claim()
    queue = slurm_pool.SlurmPool(context_of(opened), 1, Slurm(cluster="local"))
    job = opened.plan.jobs[0]
    queue.submit(job.key, opened.request(job, {}))
    queue.news(0.0)
    log = opened.store.path / "logs"
    wait_for(lambda: any("epoch 1:" in file.read_text() for file in log.glob("*.log")))
    (submitted,) = [sent.submitted for sent in queue._sent.values()]
    children = subprocess.run(["pgrep", "-P", submitted.job_id], capture_output=True, text=True, check=True).stdout
    os.kill(int(children.split()[0]), signal.SIGUSR2)
    wait_for(lambda: any("goes on in epoch" in file.read_text() for file in log.glob("*.log")))
    queue.cancel(job.key)
    wait_for(lambda: "stopped" in [message.kind for message in queue.news(0.0)])
    assert any((opened.store.path / "checkpoints").iterdir())


def wait_for(condition):
    """Until something is so; the suite's own limit ends what never is."""
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.2)
