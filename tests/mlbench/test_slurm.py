"""SLURM: what is asked of it, through a `sbatch` of our own. Runs on submitit's stand-in are in `e2e/on_slurm.py`."""

import os
import stat

import pytest
from accidents import small

import mlbench
from mlbench.api import ConfigError
from mlbench.execution import open_study
from mlbench.execution.coordinator import context_of
from mlbench.spec import Slurm, load_benchmark

pytest.importorskip("submitit")


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Stand-ins for SLURM's commands that write down what they are asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    asked = tmp_path / "asked"
    answers = {"sbatch": f'cat "$1" >> {asked}; echo "Submitted batch job 7"', "sacct": f"cat {tmp_path}/states"}
    for name in ("sbatch", "srun", "sacct", "scancel"):
        file = folder / name
        file.write_text(f'#!/bin/sh\necho "{name} $@" >> {asked}\n{answers.get(name, "")}\n')
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return asked


def pool(tiny, store, workers, **slurm):
    from mlbench.execution.slurm_pool import SlurmPool

    study = open_study(load_benchmark(small(tiny, "Untrained")), store)
    study.claim()
    return study, SlurmPool(context_of(study), workers, Slurm(**slurm))


def test_runs_that_start_together_are_one_array_with_a_limit(tiny, tmp_path, sbatch):
    study, queue = pool(
        tiny, tmp_path / "store", 3, partition="gpu", time=90, gres="gpu:1", mem="8GB", options={"nice": 5}
    )
    jobs = [job for job in study.plan.jobs if not job.after]
    for job in jobs:
        queue.submit(job.key, study.request(job, {}))
    assert queue.idle == 3 - len(jobs) == 1
    assert queue.news(0.0) == []
    asked = sbatch.read_text()
    assert asked.count("sbatch ") == 1
    options = dict(
        line.removeprefix("#SBATCH ").partition("=")[::2] for line in asked.splitlines() if line.startswith("#SBATCH ")
    )
    wanted = {"--array": "0-1%2", "--partition": "gpu", "--time": "90", "--gres": "gpu:1", "--mem": "8GB"}
    assert wanted.items() <= options.items() and options["--nice"] == "5"
    assert "--requeue" in options and options["--signal"].startswith("USR2@") and options["--open-mode"] == "append"
    assert "submitit.core._submit" in asked
    queue.cancel(jobs[0].key)
    assert "scancel 7_0" in sbatch.read_text()


@pytest.fixture
def queued(tiny, tmp_path, sbatch, monkeypatch):
    """A job that was queued, and what SLURM says of it whenever it is asked."""
    monkeypatch.setattr("mlbench.execution.slurm_pool._PAUSE", 0.0)
    monkeypatch.setattr("mlbench.execution.slurm_pool._POLL", 0.0)
    study, queue = pool(tiny, tmp_path / "store", 1)
    job = study.plan.jobs[0]
    queue.submit(job.key, study.request(job, {}))

    def news(state):
        (tmp_path / "states").write_text(f"JobID|State|NodeList\n7|{state}|n1\n7.batch|{state}|n1\n")
        return queue.news(0.0)

    assert news("PENDING") == []
    return queue, job.key, news


@pytest.mark.parametrize(
    "state, reason",
    [("NODE_FAIL", "killed"), ("CANCELLED by 1000", "killed"), ("TIMEOUT", "killed"), ("OUT_OF_MEMORY", "memory")],
)
def test_a_job_that_ends_without_a_word_is_a_failure_with_its_state(queued, state, reason):
    queue, job, news = queued
    assert news("RUNNING") == news("SUSPENDED") == news("COMPLETING") == []
    (message,) = news(state)
    assert (message.kind, message.job, message.content["reason"]) == ("died", job, reason)
    assert message.content["error"].startswith(f"SLURM job 7 ended without a word ({state})")
    assert queue.idle == 1 and news(state) == []


def test_a_preempted_job_that_slurm_does_not_queue_again_goes_on_by_ours(queued):
    _, job, news = queued
    assert news("PREEMPTED") == news("PENDING") == news("PREEMPTED") == []
    assert [(message.kind, message.job) for message in news("PREEMPTED")] == [("stopped", job)]


def test_what_a_job_says_is_heard_as_it_comes(queued, tmp_path):
    queue, job, news = queued
    (file,) = (tmp_path / "store" / "slurm").glob("*.jsonl")
    lines = [f'{{"kind": "told", "job": "{job}", "content": {{"epoch": {epoch}}}}}\n' for epoch in (1, 2)]
    file.write_text(lines[0] + lines[1][:9])
    assert [message.content for message in news("RUNNING")] == [{"epoch": 1}]
    file.write_text("".join(lines) + f'{{"kind": "done", "job": "{job}", "content": null}}\n')
    assert [message.kind for message in news("COMPLETED")] == ["told", "done"]
    assert queue.idle == 1 and not file.exists()


def test_without_slurm_the_command_says_so(tiny, tmp_path):
    with pytest.raises(ConfigError, match="no srun here"):
        mlbench.run(small(tiny, "Untrained", executor="slurm", workers=1), store=tmp_path / "store")


@pytest.mark.parametrize("executor, module, extra", [("ray", "ray", "ray"), ("slurm", "submitit", "slurm")])
def test_a_missing_extra_is_named(tiny, tmp_path, monkeypatch, executor, module, extra):
    monkeypatch.setattr("mlbench.execution.executors.find_spec", lambda name: None if name == module else True)
    with pytest.raises(ConfigError, match=rf"executor {executor} needs .* pip install 'mlbench-dml\[{extra}\]'"):
        mlbench.run(small(tiny, "Untrained", executor=executor, workers=1), store=tmp_path / "store")
