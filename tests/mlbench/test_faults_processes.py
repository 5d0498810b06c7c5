"""Runs in processes of their own: whatever ends one, nothing is lost, doubled or changed."""

import json
import os
import threading

import pytest
from accidents import accident, said, setup, small

import mlbench
from mlbench.cli.stores import job_of
from mlbench.execution import open_study, run_plan
from mlbench.execution.attempt import attempt
from mlbench.execution.message import Message
from mlbench.execution.serve import _Child
from mlbench.execution.watch import Watch
from mlbench.spec import digest, load_benchmark
from mlbench.store import Store

ONCE = ("killed", "memory", "terminated")


@pytest.fixture
def faulty(install):
    """The loss that meets with accidents."""
    setup(install)


@pytest.mark.usefixtures("faulty")
def test_a_run_whose_process_ends_at_any_step_goes_on_to_the_same_bytes(tiny, tmp_path):
    flags = [tmp_path / how for how in ONCE]
    methods = [accident(how, at, flag) for at, (how, flag) in enumerate(zip(ONCE, flags, strict=True), 2)]
    for flag in flags:
        flag.touch()
    undisturbed = mlbench.run(small(tiny, *methods, workers=0), store=tmp_path / "undisturbed")
    for flag in flags:
        flag.unlink()
    disturbed = mlbench.run(small(tiny, *methods, workers=1, checkpoint_every=0.0), store=tmp_path / "disturbed")
    assert all(flag.exists() for flag in flags)
    assert not disturbed.summary.failed and len(disturbed.summary.done) == 3 * len(ONCE)
    store = Store(disturbed.store)
    assert said(store) == said(Store(undisturbed.store))
    events = [json.loads(line) for line in (disturbed.store / "events.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in events if line["event"] == "retried"} == {"killed", "memory"}
    assert not any((disturbed.store / "checkpoints").iterdir()) and not any((disturbed.store / "leases").iterdir())
    log = store.log(next(line["run"] for line in events if line["event"] == "started")).read_text()
    assert log.count("=== killed at 2/reproduction-0/fold-0") == 2 and "goes on in epoch 1 after 1 batches" in log


@pytest.mark.usefixtures("faulty")
def test_a_failure_is_recorded_with_its_reason_and_last_words_and_the_rest_goes_on(tiny, tmp_path):
    always = [accident(how, 1) for how in ("killed", "exited", "memory", "raised", "hung")]
    runtime = {"workers": 2, "retries": 1, "timeout": 20.0}
    result = mlbench.run(small(tiny, *always, "Untrained", **runtime), store=tmp_path / "store")
    assert set(result.summary.done) >= {"Untrained/test-0"} and not result.summary.left
    records = {(record.method, record.fold): record for record in Store(result.store).records()}
    reasons = {method.partition(" ")[0]: record.why for (method, fold), record in records.items() if fold == 0}
    assert reasons == {
        "killed": "killed",
        "exited": "crash",
        "memory": "memory",
        "raised": "error",
        "hung": "timeout",
        "Untrained": "completed",
    }
    error = {method.partition(" ")[0]: record.error for (method, fold), record in records.items() if fold == 0}
    assert "signal 9" in error["killed"] and "something happens" in error["killed"]
    assert "exit code 3" in error["exited"] and "no room for 10 GiB" in error["memory"]
    assert "ValueError: wrong" in error["raised"] and "in happen" in error["raised"]
    assert "runtime.timeout" in error["hung"] and "in happen" in error["hung"]
    cost = {method.partition(" ")[0]: record.cost for (method, fold), record in records.items() if fold == 0}
    assert cost["hung"]["seconds"] > 10 and cost["memory"]["seconds"] > cost["memory"]["cpu_seconds"] / 2 > 0
    events = [json.loads(line) for line in (result.store / "events.jsonl").read_text().splitlines()]
    told = {line["job"]: line["seconds"] for line in events if line["event"] == "failed"}
    recorded = {
        job_of(record): record.cost.get("seconds", 0.0) for record in records.values() if record.outcome == "failed"
    }
    assert {job: told[job] for job in recorded} == recorded
    tried = [line["job"].partition(" ")[0] for line in events if line["event"] == "retried"]
    assert {name: tried.count(name) for name in tried} == {"killed": 2, "exited": 2, "memory": 2}


def test_a_death_is_recorded_though_the_lease_looks_held_for_a_while(tiny, tmp_path, monkeypatch):
    """As that of a holder on another machine does, until its count has stood still for long."""
    begun = []

    def dies(worker, job, request, around):
        begun.append(job)
        if job != "Untrained/reproduction-0/fold-0":
            return attempt(worker, job, request, around)
        threading.Timer(0.5, worker.store.leases.take(digest(request)[:32], {}).release).start()
        return Message("died", job, {"reason": "killed", "error": "gone"})

    monkeypatch.setattr("mlbench.execution.pool.attempt", dies)
    result = mlbench.run(small(tiny, "Untrained", workers=0, retries=0), store=tmp_path / "store")
    assert begun.count("Untrained/reproduction-0/fold-0") == 1
    assert result.summary.failed["Untrained/reproduction-0/fold-0"] == "killed: gone"
    assert result.summary.done == ["Untrained/reproduction-0/fold-1"]


def test_a_record_that_another_command_does_again_before_it_was_seen_is_left_to_it(tiny, tmp_path, monkeypatch):
    begun = []

    def retried(worker, job, request, around):
        begun.append(job)
        last, run = attempt(worker, job, request, around), digest(request)
        lease, record = worker.store.leases.take(run[:32], {}), worker.store.folder(run)
        aside = record.rename(tmp_path / record.name)
        threading.Timer(0.5, lambda: (aside.rename(record), lease.release())).start()
        return last

    monkeypatch.setattr("mlbench.execution.pool.attempt", retried)
    monkeypatch.setattr("mlbench.execution.coordinator._SEEN", 0.1)
    summary = mlbench.run(small(tiny, "Untrained", workers=0), store=tmp_path / "store").summary
    assert len(summary.cached) == len(begun) == 3 and not summary.failed


class Bounded(Watch):
    """Ends a command that starts a job again and again."""

    starts = 0

    def started(self, job, run):
        self.starts += 1
        assert self.starts < 10


def test_what_a_machine_left_that_went_down_is_done_and_cleared_away(tiny, tmp_path, monkeypatch):
    """Its leases look held to everybody who has not watched them for a while: to every new process."""

    def anew(worker, job, request, around):
        worker.store = Store(worker.store.path)
        return attempt(worker, job, request, around)

    monkeypatch.setattr("mlbench.execution.pool.attempt", anew)
    study = open_study(load_benchmark(small(tiny, "Untrained", workers=0)), tmp_path / "store")
    job, leases = study.plan.jobs[0], tmp_path / "store" / "leases"
    run = digest(study.request(job, {}))
    leases.mkdir(parents=True)
    for name in (run[:32], "coordinator-0123456789ab"):
        said = {"machine": "of old", "job": job.key, "run": run, "beat": 7, "spent": {"seconds": 5.0}}
        (leases / f"{name}.0").write_text(json.dumps(said))
    study.store.leases._expiry = 0.5
    summary = run_plan(study, Bounded())
    assert len(summary.done) == 3 and not any(leases.iterdir())
    assert study.store.get(run).cost["seconds"] > 5


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no run is a copied process here")
def test_a_run_that_is_asked_to_stop_just_when_it_has_ended_ends_no_other_process():
    process = os.spawnlp(os.P_NOWAIT, "true", "true")
    heard, lifeline = os.pipe()
    os.close(heard)  # by its end
    child = _Child("job", process, lifeline)
    child.stop()
    assert child.reap() == 0


@pytest.mark.usefixtures("faulty")
def test_the_first_failure_stops_everything_where_that_is_wanted(tiny, tmp_path):
    methods = [accident("raised", 1), "Untrained"]
    result = mlbench.run(small(tiny, *methods, workers=0, fail_fast=True), store=tmp_path / "store")
    assert list(result.summary.failed) == ["raised at 1/reproduction-0/fold-0"]
    assert len(result.summary.left) == 5 and not result.summary.done


def test_two_coordinators_share_the_work_and_nothing_is_done_twice(tiny, tmp_path):
    other = threading.Thread(target=mlbench.run, args=(small(tiny, workers=1),), kwargs={"store": tmp_path / "store"})
    other.start()
    mine = mlbench.run(small(tiny, workers=1), store=tmp_path / "store")
    other.join()
    assert len(mine.summary.done) + len(mine.summary.cached) == 3 and not mine.summary.failed
    store = Store(mine.store)
    assert len(list(store.records())) == 3
    for record in store.records():
        assert store.log(record.run).read_text().count("mlbench: completed") == 1
