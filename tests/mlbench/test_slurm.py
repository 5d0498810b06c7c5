"""SLURM: what is asked of it, through a `sbatch` of our own. Runs on submitit's stand-in are in `e2e/on_slurm.py`."""

import os
import stat

import pytest
from accidents import small

import mlbench as package
from mlbench.api import ConfigError
from mlbench.execution import open_study
from mlbench.execution.context import context_of
from mlbench.spec import Slurm, load_benchmark

pytest.importorskip("submitit")


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Stand-ins for SLURM's commands that write down what they are asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    asked = tmp_path / "asked"
    refused = f"if [ -e {tmp_path}/down ]; then echo 'sbatch: error: Socket timed out' >&2; exit 1; fi"
    answers = {"sbatch": f'{refused}; cat "$1" >> {asked}; echo "Submitted batch job 7"'}
    answers["sacct"] = f"cat {tmp_path}/states"
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


@pytest.fixture
def impatient(monkeypatch):
    """`sbatch` is asked again at once, three times in all."""
    monkeypatch.setattr("mlbench.execution.slurm_pool._AGAIN", 0.001)
    monkeypatch.setattr("mlbench.execution.slurm_pool._TOO_LONG", 0.003)


def test_an_sbatch_that_fails_is_asked_again_and_running_jobs_go_on(tiny, tmp_path, sbatch, impatient):
    study, queue = pool(tiny, tmp_path / "store", 3)
    first, second, _ = study.plan.jobs
    queue.submit(first.key, study.request(first, {}))
    assert queue.news(0.0) == []
    (tmp_path / "down").touch()
    queue.submit(second.key, study.request(second, {}))
    (message,) = queue.news(0.01)
    assert message.kind == "note" and "sbatch: error: Socket timed out" in message.content
    assert queue.idle == 1 and len(list((tmp_path / "store" / "slurm").glob("*.jsonl"))) == 1
    (tmp_path / "down").unlink()
    assert queue.news(0.0) == [] and queue.idle == 1
    assert sbatch.read_text().count("submitit.core._submit") == 2

    (tmp_path / "down").touch()
    queue.submit("third", study.request(second, {}))
    said = [message for _ in range(3) for message in queue.news(0.01)]
    assert [message.kind for message in said] == ["note", "note", "stopped", "stopped", "stopped", "lost"]
    assert {message.job for message in said[2:5]} == {first.key, second.key, "third"}
    assert "Socket timed out" in said[-1].content and "same command" in said[-1].content
    queue.close()
    assert "scancel" not in sbatch.read_text()


def test_a_run_that_was_not_queued_yet_can_be_cancelled(tiny, tmp_path, sbatch, impatient):
    (tmp_path / "down").touch()
    study, queue = pool(tiny, tmp_path / "store", 1)
    job = study.plan.jobs[0]
    queue.submit(job.key, study.request(job, {}))
    queue.news(0.0)
    queue.cancel(job.key)
    assert [(message.kind, message.job) for message in queue.news(0.0)] == [("stopped", job.key)]
    assert queue.idle == 1


def test_an_sbatch_that_keeps_failing_ends_the_command_which_can_be_given_again(
    mlbench, benchmark_file, tmp_path, sbatch, impatient
):
    (tmp_path / "down").touch()
    arguments = ("run", benchmark_file(runtime={"workers": 2}), "--executor", "slurm", "--store", tmp_path / "store")
    code, _, err = mlbench(*arguments)
    assert code == 75 and "Traceback" not in err
    assert err.splitlines()[-1] == "mlbench: interrupted; give the same command again to resume"
    assert "sbatch: error: Socket timed out" in err.splitlines()[-2]


def test_without_slurm_the_command_says_so(tiny, tmp_path):
    with pytest.raises(ConfigError, match="no srun here"):
        package.run(small(tiny, "Untrained", executor="slurm", workers=1), store=tmp_path / "store")


@pytest.mark.parametrize("executor, module, extra", [("ray", "ray", "ray"), ("slurm", "submitit", "slurm")])
def test_a_missing_extra_is_named(tiny, tmp_path, monkeypatch, executor, module, extra):
    monkeypatch.setattr("mlbench.execution.executors.find_spec", lambda name: None if name == module else True)
    with pytest.raises(ConfigError, match=rf"executor {executor} needs .* pip install 'mlbench-dml\[{extra}\]'"):
        package.run(small(tiny, "Untrained", executor=executor, workers=1), store=tmp_path / "store")
