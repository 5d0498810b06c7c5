"""Interruptions, requests, and the verbs that show and mend what went wrong."""

import json
import os
import re
import signal
import threading
import time

import pytest
from accidents import accident, said, setup, small

import mlbench as package
from mlbench.api import StoreError
from mlbench.cli.stores import job_of
from mlbench.data import preparation, prepared
from mlbench.execution.control import Control, ask_to_cancel
from mlbench.execution.displays import Lines
from mlbench.execution.watch import Watch
from mlbench.store import Store
from mlbench.store.checkpoints import Checkpoints
from mlbench.store.leftovers import clear_up

NAN = """
from torch import nn


class NaN(nn.Module):
    def __init__(self, ignored: int = 0):
        super().__init__()

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        return embeddings.sum() * float("nan")
"""
TRIPLET = {"name": "Triplet", "loss": {"id": "triplet-margin", "margin": 0.1}}


class Signals(Watch):
    """Sends signals to this process when the first job has started."""

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = numbers

    def started(self, job, run):
        numbers, self.numbers = self.numbers, ()
        for number in numbers:
            os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    """What a run leaves that nothing disturbed."""
    result = package.run(small(tiny, TRIPLET), store=tmp_path_factory.mktemp("undisturbed") / "store")
    return said(Store(result.store))


@pytest.mark.parametrize(
    ("numbers", "done"),
    [((signal.SIGINT,), 1), ((signal.SIGINT, signal.SIGINT), 0), ((signal.SIGTERM,), 0)],
    ids=["Ctrl-C", "Ctrl-C twice", "SIGTERM"],
)
def test_an_interrupted_run_keeps_what_it_has_and_goes_on_to_the_same_bytes(tiny, tmp_path, undisturbed, numbers, done):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        package.run(small(tiny, TRIPLET), store=tmp_path / "store", watch=Signals(*numbers))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    store = Store(tmp_path / "store")
    assert len(list(store.records())) == done
    assert len(list((store.path / "checkpoints").glob("*/*.ckpt"))) == (0 if done else 1)
    assert not list(store.leases.held())
    again = package.run(small(tiny, TRIPLET), store=store.path)
    assert len(again.summary.done) == 3 - done and said(store) == undisturbed
    if not done:
        assert "goes on in epoch 1 after 1 batches" in "".join(
            path.read_text() for path in (store.path / "logs").iterdir()
        )


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_request_reaches_whoever_runs_the_plan(tmp_path):
    store, control = Store(tmp_path), Control()
    assert not ask_to_cancel(store, None)
    with control.requests(store):
        assert ask_to_cancel(store, ["A"])
        wait_until(lambda: control.stops("A"))
        assert not control.stops("B") and not control.interrupted
        assert ask_to_cancel(store, None)
        wait_until(lambda: control.stops("B"))
        assert control.interrupted and control.draining
    assert not ask_to_cancel(store, None)


def test_a_request_reaches_all_who_were_there_and_nobody_who_comes_later(tmp_path):
    store, quick, slow, later = Store(tmp_path), Control(), Control(), Control()
    with slow.requests(store):
        before = slow._heed
        heard, slow._heed = threading.Event(), lambda file: heard.wait(60) and before(file)
        with quick.requests(store):
            assert ask_to_cancel(store, None)
            wait_until(lambda: quick.stopping)
        heard.set()  # only now does the other one look, when the first has left
        with later.requests(store):
            wait_until(lambda: slow.stopping)
            assert ask_to_cancel(store, ["A"])
            wait_until(lambda: later.stops("A"))
    assert not later.stops("B")
    clear_up(store)
    assert not list((tmp_path / "requests").iterdir())


@pytest.fixture
def preparing(tmp_path, monkeypatch):
    """Has the images prepared on disk in small chunks; hears how far that is, and calls what it is given first."""
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prepared, "_IN_MEMORY", 0)
    monkeypatch.setattr(preparation, "_FEWEST_IMAGES", 32)

    def preparing(action):
        def told(watch, done, total, seconds_left):
            found.append((done, total))
            if len(found) == 1:
                action()

        found = []
        monkeypatch.setattr(Lines, "preparing", told)
        return found

    return preparing


@pytest.fixture
def interruptible():
    """A shell that starts the tests in the background has SIGINT ignored, in all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 0), (signal.SIGTERM, 1)])
def test_a_preparation_that_is_interrupted_ends_at_once(mlbench, benchmark_file, tmp_path, preparing, number, workers):
    told = preparing(lambda: os.kill(os.getpid(), number))
    command = ("run", benchmark_file(), "--store", tmp_path / "store")
    code, _, err = mlbench(*command, "--workers", workers)
    assert code == 75 and "give the same command again to resume" in err
    assert told and all(done < total for done, total in told)
    assert mlbench(*command)[0] == 0
    assert told[-1][0] == told[-1][1] and len(list(Store(tmp_path / "store").records())) == 6


def test_a_preparation_is_left_when_everything_is_cancelled(tiny, tmp_path, preparing, controls):
    store = Store(tmp_path / "store")

    def cancel():
        assert ask_to_cancel(store, None)
        wait_until(lambda: controls[0].interrupted)

    told = preparing(cancel)
    with pytest.raises(KeyboardInterrupt):
        package.run(tiny(), store=store.path, watch=Lines())
    assert told and all(done < total for done, total in told)


@pytest.fixture
def controls(monkeypatch):
    """The controls of all commands."""
    made = []

    class Seen(Control):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr("mlbench.execution.coordinator.Control", Seen)
    return made


class Cancels(Watch):
    """Has a job cancelled before anything is started."""

    def __init__(self, control_of, job):
        super().__init__()
        self.control_of, self.job = control_of, job

    def begin(self, total, closed):
        self.control_of[0].cancelled.add(self.job)


def test_a_cancelled_job_and_what_needs_it_are_left_for_the_next_time(tiny, tmp_path, undisturbed, controls):
    job = "Triplet/reproduction-0/fold-1"
    first = package.run(small(tiny, TRIPLET), store=tmp_path / "store", watch=Cancels(controls, job))
    assert first.summary.left == [job, "Triplet/test-0"] and not first.summary.failed
    package.run(small(tiny, TRIPLET), store=tmp_path / "store")
    assert said(Store(tmp_path / "store")) == undisturbed


def test_what_failed_is_shown_with_its_reason_and_log_and_done_again(mlbench, tiny, install, tmp_path):
    setup(install)
    method = accident("raised", 2, tmp_path / "flag")
    store = tmp_path / "store"
    package.run(small(tiny, method, "Untrained"), store=store)
    job = "raised at 2/reproduction-0/fold-0"

    code, out, _ = mlbench("logs", store, job)
    assert code == 0 and "something happens" not in out  # in this process what a run prints stays on the terminal
    assert "ValueError: wrong" in out and out.startswith(f"=== {job}, ")
    code, _, err = mlbench("logs", store, "nothing")
    assert code == 1 and "'nothing' was not started there; these were: " in err and job in err
    code, _, err = mlbench("logs", store)
    assert code == 1 and "nothing runs there now" in err
    code, _, err = mlbench("cancel", store)
    assert code == 1 and "nothing is running there" in err

    code, out, _ = mlbench("retry", store, "--reason", "memory")
    assert code == 0 and out.startswith("0 runs set aside")
    code, _, err = mlbench("retry", store, "Untrained/test-0")
    assert code == 1 and f"is no failed job; these are: {job}" in err
    code, out, _ = mlbench("retry", store, "--reason", "error")
    assert code == 0 and out.splitlines()[0] == f"{job} (error)" and "1 runs set aside" in out
    again = package.run(small(tiny, method, "Untrained"), store=store)
    assert not again.summary.failed and sorted(again.summary.done) == [job, "raised at 2/test-0"]


def test_a_run_that_timed_out_and_is_retried_after_the_plan_goes_on_where_it_was(mlbench, tiny, install, tmp_path):
    setup(install)
    method, job = accident("hung", 4, tmp_path / "flag"), "hung at 4/reproduction-0/fold-0"
    (tmp_path / "flag").touch()
    undisturbed = package.run(small(tiny, method, workers=0), store=tmp_path / "undisturbed")
    (tmp_path / "flag").unlink()
    runtime = {"workers": 1, "timeout": 10.0, "checkpoint_every": 0.0}
    failed = package.run(small(tiny, method, **runtime), store=tmp_path / "store")
    assert set(failed.summary.failed) == {job, "hung at 4/test-0"} and not failed.summary.left
    store = Store(failed.store)
    (run,) = (record.run for record in store.records() if record.why == "timeout")
    code, out, _ = mlbench("retry", store.path)
    assert code == 0 and out.splitlines()[0] == f"{job} (timeout)"

    again = package.run(small(tiny, method, workers=0), store=store.path)
    assert again.summary.done == [job, "hung at 4/test-0"] and said(store) == said(Store(undisturbed.store))
    assert "goes on in epoch 2 after 0 batches" in store.log(run).read_text()
    assert not any((store.path / "checkpoints").iterdir())


def test_status_tells_what_runs_what_failed_and_what_it_cost(mlbench, benchmark_file, tmp_path):
    store = Store(tmp_path / "store")
    file = benchmark_file()
    assert mlbench("run", file, "--store", store.path)[0] == 0
    lease = store.leases.take("abc", {"job": "Untrained/test-9", "run": "abc"})
    lease.tell(epoch=3, step=7)
    assert lease.beat()
    store.quarantine.take(store.path / "leaderboard.csv", "changed by hand")
    code, out, _ = mlbench("status", file, "--store", store.path)
    assert code == 0
    assert re.search(r"^running: Untrained/test-9 \(epoch 3, batch 7, heartbeat \d+ s ago, ", out, re.MULTILINE)
    assert "set aside: leaderboard.csv-0: changed by hand" in out
    assert "left: 0 min 00 s; spent: 0 min " in out
    code, out, _ = mlbench("status", file, "--store", store.path, "--json")
    found = json.loads(out)
    assert found["running"][0]["job"] == "Untrained/test-9" and found["spent"]["seconds"] > 0
    lease.release()


def test_logs_are_followed_to_their_last_line_and_from_one_run_to_the_next(mlbench, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    store.claim({}, {}, {})
    (store.path / "logs").mkdir()

    def begin(job):
        lease = store.leases.take(job, {"job": job, "run": job})
        store.log(job).write_text(f"{job} begins\n")
        return lease

    def end(job, lease):
        store.log(job).write_text(f"{job} begins\n{job} ends\n")
        lease.release()

    def script():
        with Control().requests(store):
            lease = begin("A")
            yield
            end("A", lease)
            yield  # nothing runs, but somebody is there who will start the next
            lease = begin("B")
            yield
            end("B", lease)
            yield
        yield

    steps = script()
    next(steps)
    monkeypatch.setattr("mlbench.cli.logs.time.sleep", lambda seconds: next(steps))
    code, out, _ = mlbench("logs", store.path, "-f")
    assert (code, out.splitlines()) == (0, ["A | A begins", "A | A ends", "B | B begins", "B | B ends"])


def test_status_counts_the_methods_of_the_plan_alone(mlbench, benchmark_file, tmp_path):
    store = tmp_path / "store"
    assert mlbench("run", benchmark_file(TRIPLET), "--store", store)[0] == 0
    code, out, _ = mlbench("status", benchmark_file("Untrained"), "--store", store, "--json")
    found = json.loads(out)
    assert code == 0 and found["methods"][0]["left"] == 6
    assert found["seconds_left"] is None and found["spent"]["seconds"] == 0


def test_status_leaves_nothing_over_that_a_failure_has_made_impossible(
    mlbench, tiny, install, benchmark_file, tmp_path
):
    install("nan", {"losses": ["nan = nan:NaN"]}, NAN)
    searched = {"name": "Searched", "loss": "nan/nan", "search": {"loss.ignored": {"low": 0, "high": 1}}}
    methods, store = ({"name": "Once", "loss": "nan/nan"}, searched), tmp_path / "store"
    summary = package.run(tiny(*methods), store=store).summary
    code, out, _ = mlbench("status", benchmark_file(*methods), "--store", store, "--json")
    once, searched = json.loads(out)["methods"]
    assert code == 0 and once["failed"] + searched["failed"] == len(summary.failed) == 16
    assert once["left"] == searched["left"] == 0 and json.loads(out)["seconds_left"] == 0
    assert once["reasons"] == {"diverged": 4, "impossible": 2}
    assert searched["reasons"] == {"diverged": 4, "impossible": 6}


def test_what_was_spent_before_a_stop_counts_though_no_state_could_be_kept(tiny, tmp_path, monkeypatch):
    clock, ahead = time.perf_counter, [0.0]

    def full(checkpoints, state):
        ahead[0] = 100.0
        raise StoreError("no room")

    monkeypatch.setattr("mlbench.training.meter.time.perf_counter", lambda: clock() + ahead[0])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "write", full)
        package.run(small(tiny, TRIPLET), store=tmp_path / "store", watch=Signals(signal.SIGTERM))
    package.run(small(tiny, TRIPLET), store=tmp_path / "store")
    cost = {job_of(record): record.cost["seconds"] for record in Store(tmp_path / "store").records()}
    assert [job for job, seconds in cost.items() if seconds > 100] == ["Triplet/reproduction-0/fold-0"]
