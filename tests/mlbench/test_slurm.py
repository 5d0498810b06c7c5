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
    for name, answer in (("sbatch", "Submitted batch job 7"), ("srun", ""), ("sacct", ""), ("scancel", "")):
        file = folder / name
        script = (
            f'#!/bin/sh\necho "{name} $@" >> {asked}\n[ {name} = sbatch ] && cat "$1" >> {asked}\necho "{answer}"\n'
        )
        file.write_text(script)
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


def test_without_slurm_the_command_says_so(tiny, tmp_path):
    with pytest.raises(ConfigError, match="no srun here"):
        mlbench.run(small(tiny, "Untrained", executor="slurm", workers=1), store=tmp_path / "store")


@pytest.mark.parametrize("executor, module, extra", [("ray", "ray", "ray"), ("slurm", "submitit", "slurm")])
def test_a_missing_extra_is_named(tiny, tmp_path, monkeypatch, executor, module, extra):
    monkeypatch.setattr("mlbench.execution.executors.find_spec", lambda name: None if name == module else True)
    with pytest.raises(ConfigError, match=rf"executor {executor} needs .* pip install 'mlbench-dml\[{extra}\]'"):
        mlbench.run(small(tiny, "Untrained", executor=executor, workers=1), store=tmp_path / "store")
