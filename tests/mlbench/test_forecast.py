"""What a plan will take: worked out by hand for jobs of known cost."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbench.execution import Estimate, estimate, forecast, open_study
from mlbench.execution.forecast import wall_of
from mlbench.protocols import Job
from mlbench.spec import load_benchmark

SEARCHED = {"name": "Searched", "loss": "triplet-margin", "search": {"loss.margin": {"low": 0.0, "high": 1.0}}}
#: A training takes 10 to 40 seconds, a test 4.
COST = Estimate("Searched", step=1.0, image=0.1, training=(10.0, 40.0), test=4.0, least=88.0, most=328.0)


def study(tiny, *overrides, **search):
    tables = tiny(SEARCHED, search={"trials": 2, "generation": 1} | search)
    return open_study(load_benchmark(tables, ["runtime.workers=3", *overrides]))


def test_the_wall_time_knows_what_waits_for_what(tiny):
    # Two trials one after the other, then two reproductions; 2 folds each; then both tests, one as soon as it can.
    one, three = (forecast(study(tiny, f"runtime.workers={workers}"), [COST]) for workers in (1, 3))
    assert one.wall == (88.0, 328.0) and one.gpu == (0.0, 0.0)
    assert three.wall == (10 + 10 + 20 + 4, 40 + 40 + 80 + 4)
    assert forecast(study(tiny, generation=2), [COST]).wall == (20 + 20 + 4, 80 + 80 + 4)
    halved = study(tiny, generation=2, stopping={"epochs": [1]})
    assert forecast(halved, [COST]).wall == (20 + 20 + 4, 80 + 80 + 4)


@pytest.mark.parametrize(
    ("overrides", "workers", "gpu"),
    [
        (["runtime.device=cuda", "runtime.workers=2"], 2, (88.0, 328.0)),
        (["runtime.device=cuda:0,cuda:1", "runtime.slots=2", "runtime.workers=4"], 4, (44.0, 164.0)),
        (["runtime.device=cuda", "training.ranks=2", "runtime.workers=1"], 1, (168.0, 648.0)),
        (["runtime.device=cuda", "runtime.executor=slurm", "runtime.workers=32"], 32, (88.0, 328.0)),
    ],
)
def test_gpu_seconds_are_those_that_jobs_hold_gpus(tiny, overrides, workers, gpu):
    found = forecast(study(tiny, *overrides), [COST])
    assert (found.workers, found.gpu) == (workers, gpu)


def test_how_many_runs_a_cluster_has_room_for_is_not_guessed(tiny):
    cluster = tiny(SEARCHED, runtime={"executor": "ray", "address": "auto"})
    del cluster["runtime"]["workers"]
    assert forecast(open_study(load_benchmark(cluster)), [COST]) is None
    assert forecast(open_study(load_benchmark(cluster, ["runtime.workers=7"])), [COST]).workers == 7
    del cluster["runtime"]["address"]  # Ray on this machine alone, with all of its GPUs
    assert forecast(open_study(load_benchmark(cluster, ["runtime.device=cuda"])), [COST]) is None
    assert forecast(open_study(load_benchmark(cluster)), [COST]) is not None


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 99))
def test_the_wall_time_is_between_that_of_enough_workers_and_of_one(seconds, workers, seed):
    keys = [f"M/trial-{number}" for number in range(len(seconds))]
    draw = random.Random(seed)
    after = [tuple(draw.sample(keys[:number], min(number, draw.randint(0, 2)))) for number in range(len(keys))]
    jobs = [Job("M", "trial", number, None, before) for number, before in enumerate(after)]
    cost, end = dict(zip(keys, seconds, strict=True)), {}
    for job in jobs:
        end[job.key] = cost[job.key] + max((end[key] for key in job.after), default=0)
    wall = wall_of(jobs, lambda job: cost[job.key], workers)
    longest, work = max(end.values()), sum(seconds)
    assert max(longest, work / workers) <= wall <= longest + (work - longest) / workers + 1e-9
    assert wall_of(jobs, lambda job: cost[job.key], len(jobs)) == longest


def test_ranks_are_timed_as_one_process_and_bound_the_cost(mlbench, benchmark_file, monkeypatch):
    an_hour = estimate._Timed(trained=True, step=3600.0, refresh=0.0, image=0.0)
    monkeypatch.setattr(estimate, "_time", lambda worker, request, sample: an_hour)
    training = {"ranks": 4, "iterations_per_epoch": 3, "max_epochs": 2, "patience": 9}
    file = benchmark_file({"name": "M", "loss": "contrastive"}, training=training)
    code, out, _ = mlbench("plan", file, "--estimate")
    assert code == 0 and "timed in one process with the whole batch, which 4 ranks will share" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("all ") and "." in line]
    assert row[-2:] == ["6.00", "24.00"]  # four trainings of six batches
