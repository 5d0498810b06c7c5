"""Splits in a run: queries that search a gallery, what selection is shown, what enters records, and where data lie."""

import json

import numpy as np
import pytest
import torch

from mlbench.api import ConfigError, DataError
from mlbench.data.glyphs import Glyphs
from mlbench.data.images import ImageStore
from mlbench.evaluation import Retrieval
from mlbench.execution import open_study, run_plan
from mlbench.execution.watch import Watch
from mlbench.spec import digest, load_benchmark

# Test classes are 8 to 15, three items each. Items 0 and 1 of a class are its axis, and so are the queries; the gallery
# items of classes 8 to 14 lie near the axis of the next class; class 15 is queried but has nothing in the gallery.
SOURCE = """
import numpy as np
from mlbench.api import DataError, Dataset, ItemTable
from mlbench.api.dataset import Counts

class Swapped(Dataset):
    def __init__(self, path: str | None = None, closed: bool = False):
        pass

    @property
    def items(self):
        labels = np.repeat(np.arange(16), 3)
        number = np.tile(np.arange(3), 16)
        tested = labels >= 8
        roles = np.where(tested, np.where((number < 2) | (labels == 15), "query", "gallery"), "")
        return ItemTable(
            ids=tuple(map(str, range(48))),
            labels=labels,
            class_names=tuple(map(str, range(16))),
            splits=tuple(np.where(tested, "test", "train").tolist()),
            roles=tuple(roles.tolist()),
            views=tuple("left" if n < 2 else "right" for n in number),
        )

    vector_size = 16

    def load(self, index):
        label, number = divmod(index, 3)
        axes = np.eye(16, dtype=np.float32)
        return axes[8 + (label - 7) % 8] + axes[label] / 8 if label >= 8 and number == 2 else axes[label]

    content_hash = "5" * 64

class Absent(Swapped):
    expected = Counts(classes=100, items=1234)

    @property
    def items(self):
        raise DataError("absent: nothing there; run `mlbench datasets prepare absent`")

class Sums:
    def __call__(self, embeddings, labels):
        return {"sum": 0.5}
"""
POINTS = {
    "datasets": ["swapped = acme_data:Swapped", "absent = acme_data:Absent"],
    "metrics": ["sums = acme_data:Sums"],
}
MODEL = {"trunk": {"id": "mlp", "hidden": []}, "embedding_size": 16}
TRAINED = {"name": "Trained", "loss": "contrastive"}


@pytest.fixture
def swapped(install, tiny):
    """Make a benchmark on vectors whose gallery misleads every query."""
    install("acme-data", POINTS, SOURCE)

    def make(*methods, **change):
        given = {"dataset": "swapped", "model": MODEL, "reproductions": 1, "evaluation": {"recall_at": [1]}}
        tables = tiny(*methods) | given | change
        del tables["transforms"]
        return load_benchmark(tables)

    return make


def carried_out(benchmark, folder):
    study = open_study(benchmark, folder)
    summary = run_plan(study, Watch())
    assert not summary.failed
    return study, list(study.store.records())


def test_queries_search_the_gallery_and_nothing_else(swapped, tmp_path):
    study, records = carried_out(swapped(split="official"), tmp_path / "store")
    (test,) = (record for record in records if record.role == "test")
    for found in (*test.results["separated"], test.results["concatenated"]):
        # Every query finds the next class's gallery item first, and would find its twin if queries searched queries.
        assert found["recall_at_1"] == 0.0
        assert (found["queries"], found["lone_queries"]) == (14, 3)
    plain, records = carried_out(swapped(), tmp_path / "plain")
    (test,) = (record for record in records if record.role == "test")
    assert test.results["concatenated"]["recall_at_1"] > 0.6 and test.results["concatenated"]["queries"] == 24
    assert digest(study.recipe.identity()) != digest(plain.recipe.identity())


@pytest.mark.parametrize("split", ["official", "query-gallery", {"id": "leave-one-view-out", "view": "right"}])
def test_a_job_that_selects_is_shown_no_item_of_the_test(swapped, tmp_path, monkeypatch, split):
    shown, view = [], ImageStore.view

    def spy(self, *part):
        shown.append(view(self, *part))
        return shown[-1]

    monkeypatch.setattr(ImageStore, "view", spy)
    study = open_study(swapped(TRAINED, split=split), tmp_path / "store")
    study.claim()
    from mlbench.execution.context import Context
    from mlbench.execution.worker import Worker

    worker = Worker(Context(str(tmp_path / "store"), {"id": "swapped"}, "cpu"))
    for job in study.plan.jobs:
        if job.role != "test":
            record = worker.run(study.request(job, {}))
            assert record.outcome == "completed", record.error
    queries, gallery = study.recipe.splits.test_parts()
    tested = {str(item) for item in (*queries.items, *gallery.items)}
    assert shown and tested and not tested & {name for one in shown for name in one.ids}
    if isinstance(split, dict):  # item 2 of every class is seen from the right
        assert not any(int(name) % 3 == 2 for one in shown for name in one.ids)


def test_the_split_is_in_the_record_with_its_arguments_and_where_it_comes_from(swapped, tmp_path):
    split = {"id": "leave-one-view-out", "view": "right"}
    study, records = carried_out(swapped(split=split), tmp_path / "store")
    known = {"id": "mlbench/leave-one-view-out", "version": 1, "arguments": {"view": "right"}}
    assert study.recipe.identity()["split"] == known
    for record in records:
        assert record.request["split"] == {**known, "folds": 2, "hash": study.recipe.splits.hash}
        assert ("splits", known["id"]) in [(row["kind"], row["id"]) for row in record.provenance]


@pytest.mark.parametrize("written", ["mlrc", "mlbench/mlrc", {"id": "mlrc"}])
def test_the_usual_split_is_in_no_identity_however_it_is_written(swapped, written):
    said, silent = (open_study(swapped(**change)) for change in ({"split": written}, {}))
    assert digest(said.recipe.identity()) == digest(silent.recipe.identity()) and "split" not in said.recipe.identity()
    assert said.request(said.plan.jobs[0], {}) == silent.request(silent.plan.jobs[0], {})
    assert set(said.request(said.plan.jobs[0], {})["split"]) == {"hash", "folds"}


def test_a_metric_that_cannot_search_a_gallery_is_refused_before_anything_runs(swapped):
    metrics = {"evaluation": {"metrics": ["retrieval", "sums"]}}
    with pytest.raises(
        ConfigError, match=r"evaluation.metrics\[1\]: acme-data/sums cannot search a gallery .*'official'"
    ):
        open_study(swapped(split="official", **metrics))
    assert open_study(swapped(**metrics)).plan


@pytest.mark.parametrize("seed", range(3))
def test_the_metric_of_a_gallery_is_what_its_definition_gives(seed):
    rng = np.random.default_rng(seed)
    labels, gallery_labels = rng.integers(0, 9, 40), rng.integers(0, 7, 60)
    queries, gallery = rng.normal(size=(40, 5)), rng.normal(size=(60, 5))
    cosines = (queries @ gallery.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(gallery, axis=1)
    hits = gallery_labels[np.argsort(-cosines, axis=1)] == labels[:, None]
    rows = [row for row in hits if row.any()]
    precision = [np.cumsum(row) / np.arange(1, 61) * row for row in rows]
    found = Retrieval((1, 10)).search(*map(torch.from_numpy, (queries, labels, gallery, gallery_labels)))
    assert found == pytest.approx(
        {
            "map_at_r": np.mean([p[: row.sum()].sum() / row.sum() for p, row in zip(precision, rows, strict=True)]),
            "r_precision": np.mean([row[: row.sum()].mean() for row in rows]),
            "recall_at_1": np.mean([row[0] for row in rows]),
            "recall_at_10": np.mean([row[:10].any() for row in rows]),
            "queries": len(rows),
            "lone_queries": 40 - len(rows),
        }
    )


# -- paths -----------------------------------------------------------------------------------------------------------


def test_a_path_fills_the_datasets_path_and_is_in_no_identity(swapped, tmp_path):
    one, other = (open_study(swapped(**change)) for change in ({"paths": {"swapped": "/here"}}, {}))
    assert one.recipe.identity() == other.recipe.identity()
    with pytest.raises(DataError, match=r"folder: .*nowhere does not exist"):
        open_study(swapped(dataset="folder", paths={"folder": str(tmp_path / "nowhere"), "swapped": "/of another"}))
    with pytest.raises(DataError, match="own does not exist"):  # what the dataset says itself goes before
        given = {"id": "folder", "path": str(tmp_path / "own")}
        open_study(swapped(dataset=given, paths={"folder": str(tmp_path / "nowhere")}))


@pytest.mark.parametrize(
    ("dataset", "paths", "complaint"),
    [
        ("swapped", {"swaped": "/x"}, r"paths.swaped: no dataset has this id; .*acme-data/swapped, paths.swapped"),
        ("glyphs", {"glyphs": "/x"}, r"paths.glyphs: mlbench/glyphs lies in no folder and takes no path"),
    ],
)
def test_a_path_of_no_dataset_is_refused(swapped, dataset, paths, complaint):
    with pytest.raises(ConfigError, match=complaint):
        open_study(swapped(dataset=dataset, paths=paths))


# -- plans -----------------------------------------------------------------------------------------------------------


def test_the_plan_of_a_dataset_that_is_not_here_says_what_it_would_be_and_what_is_missing(
    mlbench, benchmark_file, install
):
    install("acme-data", POINTS, SOURCE)
    file = benchmark_file(TRAINED, dataset={"id": "absent"})
    code, out, err = mlbench("plan", file)
    assert (
        code == 1
        and "1234 images, 100 classes" in out
        and ["Trained", "0", "4", "2", "—"] in map(str.split, out.splitlines())
    )
    assert "nothing of this can run yet: absent: nothing there; run `mlbench datasets prepare absent`" in err
    code, out, err = mlbench("plan", file, "--json")
    assert code == 1 and not out and "datasets prepare absent" in err


def test_an_estimate_is_bounded_by_when_trainings_can_stop(mlbench, benchmark_file, tmp_path):
    training = {"iterations_per_epoch": 3, "max_epochs": 100, "evaluate_every": 5, "patience": 9}
    file, store = benchmark_file(TRAINED, "Untrained", training=training), tmp_path / "store"
    code, out, _ = mlbench("plan", file, "--store", store, "--estimate", "--json")
    assert code == 0 and not store.exists()
    trained, untrained = json.loads(out)["estimate"]
    assert (trained["method"], untrained["method"]) == ("Trained", "Untrained")
    assert trained["step"] > 0 and untrained["step"] == 0 and untrained["least"] == untrained["most"]
    # Validations at epochs 5, 10, 15: at 15 the best, if it is the first, is more than 9 epochs ago.
    splits = open_study(load_benchmark(file)).recipe.splits
    tested = np.isin(Glyphs(max_classes=40).items.labels, splits.test).sum()
    of_tests = 2 * 2 * tested * trained["image"]
    assert (trained["most"] - of_tests) / (trained["least"] - of_tests) == pytest.approx(100 / 15)
    assert "--estimate" in mlbench("plan", file, "--store", store)[1]
    code, out, _ = mlbench("plan", file, "--store", store, "--estimate")
    assert code == 0 and "timed on cpu, 1 thread" in out and not store.exists()
    assert "hours of wall time with one run at a time" in out and "GPU" not in out and "ranks" not in out
    assert [line for line in out.splitlines() if line.startswith("all ")] and "--estimate" not in out
