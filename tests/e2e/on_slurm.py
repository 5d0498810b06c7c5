"""Really through submitit's stand-in for SLURM: the bytes of runs here, and a run whose time is up."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "mlbench"))

from accidents import said, small

import mlbench
from mlbench.execution import open_study
from mlbench.execution.coordinator import context_of
from mlbench.spec import Slurm, load_benchmark
from mlbench.store import Store

slurm_pool = pytest.importorskip("mlbench.execution.slurm_pool", reason="pip install 'mlbench-dml[slurm]'")
LOCAL = {"executor": "slurm", "slurm": {"cluster": "local"}, "workers": 1}


def test_a_study_on_submitits_stand_in_has_the_bytes_of_one_here(tiny, tmp_path):
    there = mlbench.run(small(tiny, "Untrained", **LOCAL), store=tmp_path / "there")
    here = mlbench.run(small(tiny, "Untrained", executor="inprocess"), store=tmp_path / "here")
    assert not there.summary.failed and said(Store(there.store)) == said(Store(here.store))


def test_a_run_whose_time_is_up_is_queued_again_and_goes_on(tiny, tmp_path):
    method = {"name": "Long", "loss": "contrastive"}
    tables = small(tiny, method, checkpoint_every=0.0)
    tables["training"] |= {"iterations_per_epoch": 100, "max_epochs": 100, "patience": 100}
    study = open_study(load_benchmark(tables), tmp_path / "store")
    study.claim()
    queue = slurm_pool.SlurmPool(context_of(study), 1, Slurm(cluster="local"))
    job = study.plan.jobs[0]
    queue.submit(job.key, study.request(job, {}))
    queue.news(0.0)
    log = study.store.path / "logs"
    wait_for(lambda: any("epoch 1:" in file.read_text() for file in log.glob("*.log")))
    (submitted,) = [sent.submitted for sent in queue._sent.values()]
    children = subprocess.run(["pgrep", "-P", submitted.job_id], capture_output=True, text=True, check=True).stdout
    os.kill(int(children.split()[0]), signal.SIGUSR2)
    wait_for(lambda: any("goes on in epoch" in file.read_text() for file in log.glob("*.log")))
    queue.cancel(job.key)
    wait_for(lambda: [message.kind for message in queue.news(0.0)] == ["stopped"])
    assert any((study.store.path / "checkpoints").iterdir())


def wait_for(condition):
    """Until something is so; the suite's own limit ends what never is."""
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.2)
