"""The plugin's benchmark file, run whole at a size of seconds, and the leaderboard that came of it."""

import json
import tomllib
from pathlib import Path

import pytest

import mlbench
from mlbench.execution import open_study
from mlbench.registry import entries
from mlbench.spec import digest, load_benchmark
from mlbench.store import Store

ROOT = Path(__file__).parents[2]
FILE = ROOT / "plugins/mlbench-magnet/benchmark.toml"
PUBLISHED = ROOT / "leaderboards/reality-check/glyphs-640/magnet"
SMALL = [
    "dataset.max_classes=64",
    "folds=2",
    "reproductions=1",
    "model.trunk={id='conv-small', width=4}",
    "training.iterations_per_epoch=2",
    "training.max_epochs=2",
    "search.trials=1",
    "search.generation=1",
    "runtime.workers=0",
]
METHODS = {"Magnet", "Magnet in batch", "Pairwise", "Triplet", "Untrained"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return mlbench.run(FILE, overrides=SMALL, store=tmp_path_factory.mktemp("magnet") / "store")


def test_the_benchmark_runs_and_reports_knc(finished):
    assert finished.summary.failed == {}
    board = finished.leaderboard.set_index("method")
    assert set(board.index) == METHODS
    assert board["separated.kNC"].between(0.05, 1.0).all()
    assert (board["separated.kNC"] != board["concatenated.kNC"]).all()


def test_records_say_how_batches_were_made_and_what_was_measured(finished):
    records = list(Store(finished.store).records())
    trained = {record.method: record for record in records if record.role == "reproduction"}
    sampler = trained["Magnet"].request["sampler"]
    assert sampler["id"] == "mlbench-magnet/neighbourhood" and sampler["arguments"]["clusters_per_batch"] == 16
    assert "sampler" not in trained["Triplet"].request and trained["Triplet"].request["samples_per_class"] == 4
    known = {row["id"] for row in trained["Magnet"].provenance}
    assert {"mlbench-magnet/magnet", "mlbench-magnet/neighbourhood"} <= known
    tested = next(record for record in records if record.role == "test")
    assert tested.request["evaluation"]["metrics"][0]["arguments"] == {"clusters_per_class": 2, "nearest": 128}
    assert "mlbench-magnet/knc" in {row["id"] for row in tested.provenance}


def test_a_second_run_of_magnet_alone_gives_the_same_bits(finished, tmp_path):
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    tables["methods"] = [method for method in tables["methods"] if method.get("name") == "Magnet"]
    again = mlbench.run(tables, overrides=SMALL, store=tmp_path / "again")
    first, second = ({r.run: r.results for r in Store(run.store).records()} for run in (finished, again))
    assert second and second.items() <= first.items()


def test_the_published_leaderboard_is_of_this_benchmark():
    header = Store(PUBLISHED).header
    study = open_study(load_benchmark(FILE), store="unused")
    assert header["digest"] == digest(study.recipe.identity())
    assert set(header["methods"]) == METHODS
    rows = json.loads((PUBLISHED / "leaderboard.json").read_text(encoding="utf-8"))["rows"]
    assert all(row["n"] == 3 and row["failures"] == 0 for row in rows)


def test_every_component_of_the_plugin_is_listed():
    names = {
        kind: {entry.name for entry in entries(kind) if entry.distribution == "mlbench-magnet"}
        for kind in ("losses", "samplers", "metrics")
    }
    assert names == {
        "losses": {"magnet", "magnet-in-batch", "pairwise"},
        "samplers": {"clusters", "neighbourhood"},
        "metrics": {"knc"},
    }
