"""What a search with early stopping tells: how far it is, what it cost, and which of its parts can be done again."""

import json
from shutil import copytree

import pytest

import mlbench as package
from mlbench.execution.attempt import attempt
from mlbench.execution.message import Message
from mlbench.execution.watch import Watch
from mlbench.store import Record, Store

METHOD = {"name": "Searched", "loss": "triplet-margin", "search": {"loss.margin": {"low": 0.0, "high": 1.0}}}
CHANGE = {"search": {"trials": 2, "generation": 2, "stopping": {"epochs": [1]}}, "reproductions": 1}


@pytest.fixture(scope="module")
def halved(tiny, tmp_path_factory):
    """The store of a search of two trials of which one stopped early, and who was told of it."""
    watch, store = Watch(), tmp_path_factory.mktemp("halved") / "store"
    package.run(tiny(METHOD, **CHANGE), store=store, watch=watch)
    return Store(store), watch


def test_jobs_that_stopping_spared_are_closed_for_whoever_watches(halved):
    store, watch = halved
    assert (watch.closed, watch.total, watch.done, watch.seconds_left) == (11, 11, 9, 0)
    events = [json.loads(line) for line in (store.path / "events.jsonl").read_text().splitlines()]
    spared = [event["job"] for event in events if event["event"] == "spared"]
    assert len(spared) == 2 and all(job.endswith("/rung-1") for job in spared)
    assert events[-1].items() >= {"event": "end", "done": 9, "spared": 2, "left": 0}.items()


def test_what_the_parts_of_a_training_cost_counts_once(mlbench, benchmark_file, halved):
    store, watch = halved
    cost = {}  # that of a part has that of the parts before it
    for record in store.records():
        training = record.role, record.number, record.fold
        cost[training] = max(cost.get(training, 0.0), record.cost["seconds"])
    assert watch.cost == pytest.approx(sum(cost.values()))
    code, out, _ = mlbench("status", benchmark_file(METHOD, **CHANGE), "--store", store.path, "--json")
    found = json.loads(out)
    assert code == 0 and found["spent"]["seconds"] == pytest.approx(sum(cost.values()))
    assert found["seconds_left"] == 0 and found["methods"][0]["left"] == 0


def test_a_part_that_failed_can_be_named_and_done_again(mlbench, tiny, halved, tmp_path):
    store = Store(copytree(halved[0].path, tmp_path / "store"))
    part = next(record for record in store.records() if record.rung == 1)
    job = f"Searched/trial-{part.number}/fold-{part.fold}/rung-1"
    store.forget(part, "to fail")
    store.commit(Record(run=part.run, request=part.request, outcome="failed", reason="memory", error="no room"))
    assert mlbench("retry", store.path, job) == (
        0,
        f"{job} (memory)\n1 runs set aside; give the same `mlbench run` again to do them again\n",
        "",
    )
    assert store.get(part.run) is None


def test_a_part_that_died_without_a_word_has_cost_what_the_parts_before_it_did(tiny, tmp_path, monkeypatch):
    def dies(worker, job, request, around):
        gone = {"reason": "killed", "error": "gone"}
        return Message("died", job, gone) if job.endswith("rung-1") else attempt(worker, job, request, around)

    monkeypatch.setattr("mlbench.execution.pool.attempt", dies)
    watch, store = Watch(), Store(tmp_path / "store")
    package.run(tiny(METHOD, **CHANGE, runtime={"retries": 0}), store=store.path, watch=watch)
    cost = {record.run: record.cost for record in store.records()}
    told = [json.loads(line) for line in (store.path / "events.jsonl").read_text().splitlines()]
    assert min(event["seconds"] for event in told if "seconds" in event) >= 0
    parts = {(r.number, r.fold, r.rung): cost[r.run] for r in store.records() if r.role == "trial"}
    last = {place[:2] for place in parts if place[2] == 1}
    assert len(last) == 2  # of one trial of two
    for place in last:
        first = {name: parts[(*place, 0)][name] for name in ("seconds", "cpu_seconds", "gpu_seconds")}
        assert parts[(*place, 1)] == first and first["seconds"] > 0
