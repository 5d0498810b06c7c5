"""Carrying a plan out: the same records wherever it runs, failures that stay what they are, nothing done twice."""

import gc
import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import mlbench
from mlbench.api import ConfigError, DataError, StoreError
from mlbench.data.device_crops import DeviceImages
from mlbench.execution import open_study, run_plan
from mlbench.execution.displays import Lines
from mlbench.execution.watch import Watch
from mlbench.execution.worker import Worker
from mlbench.leaderboard import write_leaderboard
from mlbench.spec import load_benchmark
from mlbench.store import Store

SEARCHED = {
    "name": "Proxies",
    "loss": {"id": "cosface", "scale": 16.0},
    "samples_per_class": 1,
    "search": {"loss.margin": {"low": 0.0, "high": 0.5}, "loss_optimizer.lr": {"low": 1e-4, "high": 0.1, "log": True}},
}
MINED = {"name": "Mined", "loss": "margin", "miner": "distance-weighted"}
METHODS = ("Untrained", SEARCHED, MINED)
#: Two folds: two trials, then two reproductions of two trainings and a test.
JOBS = {"Untrained": 2 * 3, "Proxies": 2 * 2 + 2 * 3, "Mined": 2 * 3}


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A study that was run from beginning to end in this process."""
    return mlbench.run(tiny(*METHODS), store=tmp_path_factory.mktemp("finished") / "store")


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of its store, to be damaged."""
    return shutil.copytree(finished.store, tmp_path / "store")


def kept(store):
    """What must be equal in equal runs: all but what it cost and where it ran."""
    return {
        record.run: (record.model_dump(exclude={"cost", "environment"}), models(store, record))
        for record in Store(store).records()
    }


def models(store, record):
    return [path.read_bytes() for path in Store(store).folder(record.run).glob("*.safetensors")]


def by_job(store):
    """Records by ``method/role-number/fold``."""
    found = {}
    for record in Store(store).records():
        name = f"{record.method}/{record.role}-{record.number}/{record.request['job']['fold']}"
        assert name not in found, f"two records of {name}"
        found[name] = record
    return found


def events(store):
    return [json.loads(line) for line in (store / "events.jsonl").read_text().splitlines()]


# -- the same records ------------------------------------------------------------------------------------------------


def test_every_job_leaves_one_record(finished):
    assert len(finished.summary.done) == sum(JOBS.values()) == len(by_job(finished.store))
    assert not finished.summary.failed and not finished.summary.cached
    for method, count in JOBS.items():
        assert sum(name.startswith(f"{method}/") for name in by_job(finished.store)) == count


def test_worker_processes_leave_the_records_of_a_single_process(finished, tiny, tmp_path):
    result = mlbench.run(tiny(*METHODS, runtime={"workers": 2}), store=tmp_path / "store")
    assert result.summary.total == finished.summary.total
    assert kept(result.store) == kept(finished.store)
    for name in ("leaderboard.md", "leaderboard.csv", "leaderboard.json"):
        assert (result.store / name).read_bytes() == (finished.store / name).read_bytes()


def test_images_on_the_device_leave_the_records_of_mapped_ones(tiny, tmp_path, monkeypatch):
    made, whole = [], DeviceImages.__init__
    monkeypatch.setattr(DeviceImages, "__init__", lambda self, *given: made.append(given) or whole(self, *given))
    changes = {"transforms": {"crop": {}, "flip": 0.5}, "reproductions": 1}
    results = {
        images: mlbench.run(tiny(MINED, **changes, runtime={"images": images}), store=tmp_path / images)
        for images in ("mapped", "device")
    }
    assert kept(results["device"].store) == kept(results["mapped"].store)
    assert len(made) == 2, "of each of the two trainings that were asked for it"


def test_a_method_leaves_the_same_records_without_the_others(finished, tiny, tmp_path):
    alone = mlbench.run(tiny(MINED), store=tmp_path / "store")
    assert kept(alone.store) == {run: row for run, row in kept(finished.store).items() if "Mined" in str(row[0])}


def test_another_seed_is_another_study(finished, tiny, tmp_path):
    other = mlbench.run(tiny(MINED, seed=1), store=tmp_path / "store")
    scores = [
        {name: record.score for name, record in by_job(store).items() if record.role == "reproduction"}
        for store in (other.store, finished.store)
    ]
    assert all(scores[0][name] != scores[1][name] for name in scores[0])


def test_models_are_kept_of_reproductions_alone(finished):
    for name, record in by_job(finished.store).items():
        assert bool(models(finished.store, record)) == ("/reproduction-" in name)


def test_a_record_says_what_it_cost_and_what_made_it(finished):
    record = by_job(finished.store)["Mined/reproduction-0/0"]
    assert record.cost["seconds"] >= record.cost["training_seconds"] > 0
    assert record.cost["images_per_second"] == record.results["images"] / record.cost["training_seconds"]
    # In step, as on a CPU, making the batches is waiting for them.
    shares = [record.cost[f"{phase}_share"] for phase in ("data", "mining", "loss")]
    assert all(share > 0 for share in shares) and sum(shares) < 1
    assert record.cost["cpu_seconds"] > 0 == record.cost["gpu_seconds"]
    assert record.environment["torch"] == torch.__version__
    ids = [row["id"] for row in record.provenance]
    parts = ["reality-check", "glyphs", "conv-small", "margin", "distance-weighted"]
    assert ids == [f"mlbench/{name}" for name in parts]


#: A miner that computes for so long a step, a loss that waits for so long, and holds so much memory meanwhile.
COMPUTED, WAITED, HELD = 0.04, 0.1, 2**28
EXPENSIVE = f"""
import resource, time
from pathlib import Path

import torch
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner


class Computes(BatchHardMiner):
    def forward(self, *batch):
        begun = time.process_time()
        while time.process_time() - begun < {COMPUTED}:
            pass
        return super().forward(*batch)


class Waits(TripletMarginLoss):
    def __init__(self, told: str):
        super().__init__()
        self.told = told

    def forward(self, *batch, **reference):
        held = torch.ones({HELD}, dtype=torch.uint8)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        Path(self.told).write_text(str(pages * resource.getpagesize()))
        del held
        time.sleep({WAITED})
        return super().forward(*batch, **reference)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc what the process holds")
def test_what_a_run_costs_is_counted_where_it_arises(tiny, install, tmp_path):
    install(
        "expensive", {"losses": ["waits = expensive:Waits"], "miners": ["computes = expensive:Computes"]}, EXPENSIVE
    )
    method = {"name": "Expensive", "loss": {"id": "expensive/waits", "told": str(tmp_path / "held")}}
    method["miner"] = "expensive/computes"
    result = mlbench.run(tiny(method, reproductions=1), store=tmp_path / "store")
    record = by_job(result.store)["Expensive/reproduction-0/0"]
    steps = record.results["images"] // 8
    spent = {phase: record.cost[f"{phase}_share"] * record.cost["training_seconds"] for phase in ("mining", "loss")}
    assert steps == 4 and spent["mining"] >= steps * COMPUTED and spent["loss"] >= steps * WAITED
    # What mining computes is no loss, and waiting is no work of the processor.
    assert spent["mining"] + spent["loss"] < record.cost["training_seconds"] <= record.cost["seconds"]
    assert steps * COMPUTED <= record.cost["cpu_seconds"] <= record.cost["seconds"] - steps * WAITED
    held = int((tmp_path / "held").read_text())
    assert HELD < held <= record.cost["peak_memory"] * 1.01 < held + HELD  # the system counts pages in bundles
    tested = by_job(result.store)["Expensive/test-0/None"].cost
    assert tested["peak_memory"] < record.cost["peak_memory"] and "mining_share" not in tested


def test_a_record_says_which_backend_ran_the_kernels(finished, tiny, tmp_path):
    fused = {"name": "Fused", "loss": "margin", "miner": "mlbench/fused-batch-hard"}
    result = mlbench.run(tiny(fused), store=tmp_path / "store")
    assert not result.summary.failed
    assert by_job(result.store)["Fused/reproduction-0/0"].environment["kernel Extreme"] == "blocked"
    assert "kernel Extreme" not in by_job(finished.store)["Mined/reproduction-0/0"].environment


def test_tests_see_classes_that_no_training_saw(finished):
    tested = by_job(finished.store)["Mined/test-0/None"].results
    assert [found["queries"] for found in (*tested["separated"], tested["concatenated"])] == [
        tested["concatenated"]["queries"]
    ] * 3
    trained = by_job(finished.store)["Mined/reproduction-0/0"].results["best"]
    assert tested["concatenated"]["queries"] > trained["queries"] > 0  # 20 test classes, 10 validation classes


# -- again -----------------------------------------------------------------------------------------------------------


def test_the_same_call_again_runs_nothing(tiny, copied):
    before = kept(copied)
    again = mlbench.run(tiny(*METHODS), store=copied)
    assert not again.summary.done and len(again.summary.cached) == sum(JOBS.values())
    assert kept(copied) == before
    last = events(copied)[-2:]
    assert [(line["event"], line.get("total"), line.get("closed")) for line in last] == [
        ("begin", sum(JOBS.values()), sum(JOBS.values())),
        ("end", None, None),
    ]


def test_only_what_is_missing_is_run_and_comes_out_the_same(tiny, copied):
    before = kept(copied)
    lost = by_job(copied)
    for name in ("Mined/test-1/None", "Proxies/trial-1/0"):
        shutil.rmtree(Store(copied).folder(lost[name].run))
    torch.set_num_threads(2)  # a process that begins with a test computes it as one that trained before
    again = mlbench.run(tiny(*METHODS), store=copied)
    assert sorted(again.summary.done) == ["Mined/test-1", "Proxies/trial-1/fold-0"]
    assert kept(copied) == before
    assert torch.get_num_threads() == 1


def test_a_method_can_be_added(tiny, copied):
    other = {"name": "Triplet", "loss": {"id": "triplet-margin", "margin": 0.2}}
    result = mlbench.run(tiny(*METHODS, other), store=copied)
    assert len(result.summary.done) == 6 and len(result.summary.cached) == sum(JOBS.values())
    assert set(result.leaderboard.method) == {*JOBS, "Triplet"}


def test_a_store_of_another_plan_is_refused_and_stays_as_it_is(tiny, copied):
    before = kept(copied)
    with pytest.raises(StoreError, match=r"belongs to another plan \(training\.batch_size: 8 there, 4 here\).*--store"):
        mlbench.run(tiny(*METHODS, training={"batch_size": 4}), store=copied)
    assert kept(copied) == before


def test_a_lost_model_is_named_with_the_way_out(tiny, copied):
    records = by_job(copied)
    folder = Store(copied).folder(records["Mined/reproduction-0/1"].run)
    (folder / "model.safetensors").unlink()
    shutil.rmtree(Store(copied).folder(records["Mined/test-0/None"].run))
    with pytest.raises(StoreError, match=rf"{folder.name}.*is gone.*set aside.*same command again to train it again"):
        mlbench.run(tiny(*METHODS), store=copied)
    assert sorted(mlbench.run(tiny(*METHODS), store=copied).summary.done) == [
        "Mined/reproduction-0/fold-1",
        "Mined/test-0",
    ]


# -- what is told ----------------------------------------------------------------------------------------------------


def test_events_tell_the_life_of_every_job(finished):
    lines = events(finished.store)
    assert lines[0]["event"] == "begin" and lines[0]["total"] == sum(JOBS.values())
    assert lines[-1] == lines[-1] | {"event": "end", "done": sum(JOBS.values()), "cached": 0, "failed": 0}
    for job in finished.summary.done:
        told = [line["event"] for line in lines if line.get("job") == job]
        trained = "test" not in job and "Untrained" not in job
        assert told[0] == "started" and told[-1] == "finished" and told.count("finished") == 1
        assert set(told[1:-1]) == ({"validated"} if trained else set())
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


def test_plain_lines_say_how_far_it_is(tiny, tmp_path, capsys):
    mlbench.run(tiny(), store=tmp_path / "store", watch=Lines())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "mlbench: 6 jobs, 0 already done"
    assert lines[-1].startswith("mlbench: 6/6 jobs: 6 done, 0 cached, 0 failed, 0 running; 0 min 00 s left, ")


class Listener(Watch):
    def __init__(self):
        super().__init__()
        self.left = []

    def finished(self, job, score, seconds, *, cached):
        super().finished(job, score, seconds, cached=cached)
        self.left.append(self.seconds_left)


def test_the_time_left_is_estimated_from_the_first_job_on(tiny, tmp_path):
    listener = Listener()
    assert listener.seconds_left is None
    mlbench.run(tiny(), store=tmp_path / "store", watch=listener)
    assert len(listener.left) == 6 and listener.left[-1] == 0
    assert all(left > 0 for left in listener.left[:-1])


def test_batches_that_no_class_can_fill_do_not_matter_where_nothing_is_trained(tiny, tmp_path):
    benchmark = tiny({"name": "Untrained", "samples_per_class": 3}, training={"batch_size": 1024})
    assert not mlbench.run(benchmark, store=tmp_path / "store").summary.failed


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("misbehaving")
def test_a_loss_that_turns_nan_counts_zero_and_the_study_goes_on(tiny, tmp_path):
    method = {
        "name": "Sometimes",
        "loss": "misbehaving/turns-nan",
        "search": {"loss.after": {"choices": [3, 1000]}},  # two Sobol points: one of each
    }
    result = mlbench.run(tiny(method, "Untrained"), store=tmp_path / "store")
    records = by_job(result.store)
    diverged = [name for name, record in records.items() if record.outcome == "diverged"]
    assert len(diverged) == 2 and {name.split("/")[1] for name in diverged} in ({"trial-0"}, {"trial-1"})
    for name in diverged:
        assert records[name].error == "the loss became nan after 32 images"
        assert records[name].results == {} and records[name].score is None
    assert sorted(result.summary.failed.values()) == ["diverged: the loss became nan after 32 images"] * 2
    row = result.leaderboard.set_index("method").loc["Sometimes"]
    assert json.loads(row.hyperparameters) == {"loss.after": 1000}
    assert (row.n, row.runs, row.failures, row.trials) == (2, 10, 2, 2)
    assert row.best_trial > 0
    assert set(result.summary.done) >= {f"Untrained/test-{number}" for number in range(2)}


@pytest.mark.usefixtures("misbehaving")
def test_a_method_without_one_good_trial_has_no_reproductions(tiny, tmp_path):
    method = {"name": "Never", "loss": "misbehaving/turns-nan", "search": {"loss.after": {"low": 0, "high": 1}}}
    result = mlbench.run(tiny(method, "Untrained"), store=tmp_path / "store")
    reasons = {job: reason.partition(":")[0] for job, reason in result.summary.failed.items()}
    trials = {f"Never/trial-{number}/fold-{fold}" for number in range(2) for fold in range(2)}
    assert {job for job, reason in reasons.items() if reason == "diverged"} == trials
    assert {job for job, reason in reasons.items() if reason == "impossible"} == {
        job for job in reasons if "/reproduction-" in job or "/test-" in job
    }
    assert len(reasons) == 10
    assert list(result.leaderboard.method) == ["Untrained", "Never"]


@pytest.mark.usefixtures("misbehaving")
def test_a_constructor_that_refuses_its_arguments_at_run_time_is_a_failed_run(tiny, tmp_path):
    (file := tmp_path / "refused").write_text("2")
    method = {"name": "Refused", "loss": {"id": "misbehaving/refuses", "tenths": 2, "file": str(file)}}
    result = mlbench.run(tiny(method, "Untrained"), store=tmp_path / "store")
    failed = by_job(result.store)["Refused/reproduction-0/0"]
    assert failed.outcome == "failed"
    assert failed.error == "loss: misbehaving/refuses refuses its arguments: 2 tenths are not today's margin"
    assert len(result.summary.failed) == 6 and len(result.summary.done) == 6


def test_the_collector_of_garbage_leaves_alone_what_was_there_before_a_job(tiny, tmp_path, monkeypatch):
    frozen, run = [], Worker.run
    monkeypatch.setattr(Worker, "run", lambda *args: frozen.append(gc.get_freeze_count()) or run(*args))
    mlbench.run(tiny(), store=tmp_path / "store")
    assert len(frozen) == JOBS["Untrained"] and min(frozen) > 0 and gc.get_freeze_count() == 0


@pytest.mark.usefixtures("misbehaving")
def test_a_killed_worker_loses_its_job_alone_and_it_can_be_done_again(tiny, tmp_path):
    method = {"name": "Killer", "loss": {"id": "misbehaving/kills-once", "done": str(tmp_path / "done")}}
    benchmark = tiny(method, "Untrained", runtime={"workers": 1, "retries": 0})
    result = mlbench.run(benchmark, store=tmp_path / "store")
    assert set(result.summary.failed) == {"Killer/reproduction-0/fold-0", "Killer/test-0"}
    assert "the worker process died (signal 9)" in result.summary.failed["Killer/reproduction-0/fold-0"]
    assert len(result.summary.done) == 10
    before = kept(result.store)

    benchmark["runtime"] = {"workers": 0}
    unchanged = mlbench.run(benchmark, store=tmp_path / "store")
    assert not unchanged.summary.done and set(unchanged.summary.failed) == set(result.summary.failed)
    assert [event["job"] for event in events(result.store) if event["event"] == "failed"].count(
        "Killer/reproduction-0/fold-0"
    ) == 1

    again = mlbench.run(benchmark, store=tmp_path / "store", retry_failed=True)
    assert sorted(again.summary.done) == ["Killer/reproduction-0/fold-0", "Killer/test-0"] and not again.summary.failed
    after = kept(again.store)
    assert {run for run, row in before.items() if row != after[run]} == {
        run for run, (record, _) in before.items() if record["outcome"] == "failed"
    }
    assert len(list(Store(tmp_path / "store").quarantine)) == 1


@pytest.mark.usefixtures("misbehaving")
def test_what_a_failed_trial_led_to_does_not_count_once_it_was_retried(tiny, tmp_path):
    method = {
        "name": "Refused",
        "loss": {"id": "misbehaving/refuses", "file": str(tmp_path / "refused")},
        "search": {"loss.tenths": {"choices": [1, 9]}},
    }
    method["loss"]["tenths"] = 1
    smooth = mlbench.run(tiny(method), store=tmp_path / "smooth")
    best = json.loads(smooth.leaderboard.hyperparameters[0])["loss.tenths"]
    (tmp_path / "refused").write_text(str(best))
    detour = mlbench.run(tiny(method), store=tmp_path / "detour")
    assert json.loads(detour.leaderboard.hyperparameters[0])["loss.tenths"] == 10 - best
    (tmp_path / "refused").unlink()
    mlbench.run(tiny(method), store=tmp_path / "detour", retry_failed=True)
    assert kept(detour.store) == kept(smooth.store)
    assert detour.leaderboard.equals(smooth.leaderboard)


class Meets(Watch):
    """Calls something when it starts the only test, the last job; at the end it may wait for another."""

    def __init__(self, action, ends):
        super().__init__()
        self.action, self.ends = action, ends

    def started(self, job, run):
        super().started(job, run)
        if "/test-" in job:
            self.action()

    def end(self, summary):
        self.ends.wait(60)


@pytest.mark.usefixtures("misbehaving")
@pytest.mark.parametrize("first", ["the one that went by it", "the one that did it again", "neither"])
def test_a_failure_that_is_done_again_while_another_command_went_by_it_harms_neither(tiny, tmp_path, first):
    loss = {"id": "misbehaving/refuses", "tenths": 1, "file": str(tmp_path / "refused")}
    method = {"name": "Refused", "loss": loss, "search": {"loss.tenths": {"choices": [1, 9]}}}
    benchmark, store = tiny(method, reproductions=1), tmp_path / "store"
    smooth = mlbench.run(benchmark, store=tmp_path / "smooth")
    best = json.loads(smooth.leaderboard.hyperparameters[0])["loss.tenths"]
    (tmp_path / "refused").write_text(str(best))
    there, go_on, both = threading.Event(), threading.Event(), threading.Barrier(2 if first == "neither" else 1)
    waits = Meets(lambda: (there.set(), go_on.wait(60)), both)
    with ThreadPoolExecutor(1) as thread:
        stale = thread.submit(mlbench.run, benchmark, store=store, watch=waits)
        assert there.wait(60)
        (tmp_path / "refused").unlink()
        actions = {"the one that went by it": lambda: (go_on.set(), stale.result()), "neither": go_on.set}
        ends = Meets(actions.get(first, lambda: None), both)
        fresh = mlbench.run(benchmark, store=store, watch=ends, retry_failed=True)
        go_on.set()
        results = stale.result(), fresh
    for watch in (waits, ends):
        cost = sum(record.cost["seconds"] for record in Store(store).records())
        assert (watch.closed, watch.done + watch.cached, watch.failures, watch.running) == (7, 7, 0, set())
        assert watch.cost == pytest.approx(cost)
    for result in results:
        assert result.summary.total == 7 and not result.summary.failed and not result.summary.left
    assert len(results[0].summary.done) == 5  # all but the two failures
    assert kept(store) == kept(smooth.store)
    assert mlbench.leaderboard(store).equals(mlbench.leaderboard(smooth.store))


def test_commands_that_end_together_write_their_leaderboards_one_after_the_other(tiny, copied):
    """Or the one that has looked before the other tidied could write last."""
    order, second = [], threading.Event()

    def publish(store):
        order.append("begins")
        if len(order) > 1:
            second.set()
        second.wait(0.5)
        order.append("ends")

    studies = [open_study(load_benchmark(tiny(*METHODS)), copied) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        summaries = list(threads.map(lambda study: run_plan(study, Watch(), publish=publish), studies))
    assert order == ["begins", "ends"] * 2 and not any(summary.left for summary in summaries)


def test_a_device_that_is_not_there_is_refused_before_anything_is_recorded(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"runtime\.device: 'tpu9' cannot be used here .*--device"):
        mlbench.run(tiny(runtime={"device": "tpu9", "workers": 0}), store=tmp_path / "store")
    assert list(Store(tmp_path / "store").records()) == []


def test_data_that_changed_since_the_plan_was_made_stop_the_run(tiny, tmp_path):
    folder = images(tmp_path / "images", classes=16)
    benchmark = load_benchmark(
        tiny(dataset={"id": "folder", "path": str(folder)}, transforms={"mean": [0.2] * 3, "std": [0.3] * 3})
    )
    study = open_study(benchmark, tmp_path / "store")
    shutil.copy(folder / "class-00" / "0.png", folder / "class-00" / "9.png")
    with pytest.raises(DataError, match=r"mlbench/folder: its content changed since the plan was made"):
        run_plan(study, Watch())
    assert list(Store(tmp_path / "store").records()) == []


def images(folder, classes):
    """Class folders of three noisy images each."""
    rng = np.random.default_rng(0)
    for index in range(classes):
        (target := folder / f"class-{index:02d}").mkdir(parents=True)
        for number in range(3):
            Image.fromarray(rng.integers(0, 255, size=(32, 32, 3), dtype=np.uint8)).save(target / f"{number}.png")
    return folder


def test_a_run_that_is_still_going_on_elsewhere_is_not_disturbed(tiny, finished, tmp_path):
    """Two runs on one store: what the other has committed meanwhile is taken as it is."""
    store = tmp_path / "store"
    shutil.copytree(finished.store, store)
    names = [Store(store).folder(record.run) for record in by_job(store).values() if record.method == "Mined"]
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in names:
        name.rename(hidden / name.name)

    class Other(Watch):
        """Commits all of it when the first job has started."""

        def started(self, job, run):
            super().started(job, run)
            for folder in hidden.iterdir():
                if not (store / "runs" / folder.name).exists():
                    folder.rename(store / "runs" / folder.name)

    watch = Other()
    result = mlbench.run(tiny(*METHODS), store=store, watch=watch)
    assert (watch.closed, watch.total, watch.seconds_left) == (sum(JOBS.values()), sum(JOBS.values()), 0)
    assert len(result.summary.done) == 1 and len(result.summary.cached) == sum(JOBS.values()) - 1
    assert kept(store) == kept(finished.store)
    write_leaderboard(Store(store), tmp_path)
    assert (tmp_path / "leaderboard.md").read_bytes() == (finished.store / "leaderboard.md").read_bytes()
    assert not [name for name in os.listdir(store / "runs") if name.startswith(".")]
