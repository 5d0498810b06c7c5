"""Precomputed embeddings: what is read, what is refused, and a whole run on them."""

import numpy as np
import pytest

from mlbench.api import ConfigError, DataError
from mlbench.data import ImageStore, Npz
from mlbench.execution import open_study
from mlbench.notebook import run
from mlbench.spec import load_benchmark

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(6, 4)).astype(np.float32)
LABELS = np.array([30, 10, 30, 20, 10, 20])


@pytest.fixture
def saved(tmp_path):
    """Write an .npz; the dataset on it."""

    def save(embeddings=VECTORS, labels=LABELS, name="e.npz", **more):
        np.savez(tmp_path / name, embeddings=embeddings, labels=labels, **more)
        return Npz(str(tmp_path / name))

    return save


def test_items_are_rows_and_classes_are_labels_in_order(saved):
    dataset = saved()
    assert dataset.items.class_names == ("10", "20", "30") and dataset.items.ids == ("0", "1", "2", "3", "4", "5")
    assert dataset.items.labels.tolist() == [2, 0, 2, 1, 0, 1] and dataset.items.labels.dtype == np.int64
    assert dataset.vector_size == 4 and np.array_equal(dataset.load(3), VECTORS[3])


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.dtype(">f4")])
def test_any_precision_is_read_as_32_bits(saved, dtype):
    dataset = saved(VECTORS.astype(dtype))
    assert dataset.load(0).dtype == np.float32
    assert np.array_equal(dataset.load(0), VECTORS.astype(dtype)[0].astype(np.float32))


def test_labels_may_be_names(saved):
    assert saved(labels=np.array(["b", "a", "b", "a", "a", "c"])).items.class_names == ("a", "b", "c")


def test_the_content_hash_is_of_the_content_not_of_the_file(saved):
    hashes = [
        saved().content_hash,
        saved(VECTORS.astype(np.float64), name="other.npz", further=np.zeros(3)).content_hash,
        saved(VECTORS[::-1]).content_hash,
        saved(labels=LABELS[::-1]).content_hash,
        saved(labels=LABELS + 1).content_hash,
    ]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 4


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (VECTORS[0], LABELS, r"e\.npz: embeddings must be real numbers \[N, D\], got float32 \[4\]"),
        (VECTORS.astype(int), LABELS, "got int64"),
        (VECTORS[:, :0], LABELS, r"got float32 \[6, 0\]"),
        (VECTORS[:0], LABELS[:0], r"got float32 \[0, 4\]"),
        (VECTORS, LABELS[:5], r"labels must be 6 integers or strings, .* got int64 \[5\]"),
        (VECTORS, LABELS / 2, "got float64"),
        (np.where(np.arange(6)[:, None] > 3, np.nan, VECTORS), LABELS, "2 of 6 rows .* the first is row 4"),
        (VECTORS.astype(np.float64) * 1e200, LABELS, "6 of 6 rows"),
    ],
)
def test_what_does_not_fit_is_named(saved, embeddings, labels, message):
    with pytest.raises(DataError, match=message):
        saved(embeddings, labels).content_hash  # noqa: B018


def test_a_file_that_is_none_is_explained(saved, tmp_path):
    with pytest.raises(DataError, match=r"gone\.npz: no such file"):
        Npz(str(tmp_path / "gone.npz")).items  # noqa: B018
    with pytest.raises(DataError, match=r"not an \.npz of plain arrays .*numpy\.savez"):
        saved(labels=np.array([{}] * 6, dtype=object)).items  # noqa: B018  # pickled
    np.savez(tmp_path / "half.npz", embeddings=VECTORS)
    with pytest.raises(DataError, match="has no array 'labels', only embeddings"):
        Npz(str(tmp_path / "half.npz")).items  # noqa: B018


def test_a_view_holds_the_vectors_of_its_classes(saved):
    view = ImageStore.build(saved(), None).view([2, 0])
    assert view.vectors and view.channels == 4 and view.labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(view.images([0, 3]).numpy(), VECTORS[[0, 4]])


def test_a_plugins_vectors_are_checked(saved, monkeypatch):
    monkeypatch.setattr(Npz, "load", lambda self, index: np.zeros(4))
    with pytest.raises(DataError, match=r"0: loaded as float64 \[4\], a vector of this dataset is float32 \[4\]"):
        ImageStore.build(saved(), None)


# -- whole runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clusters(saved, tmp_path):
    """64 classes of 4 noisy samples whose last 8 of 24 dimensions are noise alone; the path of the file."""
    labels = np.repeat(np.arange(64), 4)
    vectors = RNG.normal(size=(64, 24))[labels] + 0.5 * RNG.normal(size=(256, 24))
    vectors[:, 16:] = 4 * RNG.normal(size=(256, 8))
    saved(vectors, labels)
    return str(tmp_path / "e.npz")


def small(path, **more):
    changes = {
        "dataset": f'{{ id = "npz", path = "{path}" }}',
        "training.batch_size": 64,
        "training.max_epochs": 2,
        "model.trunk.hidden": "[32]",
        "runtime.workers": 0,
        **more,
    }
    return [f"{key}={value}" for key, value in changes.items()]


def test_large_batch_runs_on_ones_own_embeddings(clusters, tmp_path):
    tables = load_benchmark("large-batch").model_dump(mode="json")
    for method in tables["methods"]:  # batches that 16 training classes fill
        method |= {"samples_per_class": 4, "batch_size": 32 if method["batch_size"] else None}
    result = run(tables, overrides=small(clusters), store=tmp_path / "store")
    assert result.summary.failed == {}
    text = (tmp_path / "store" / "leaderboard.md").read_text(encoding="utf-8")
    assert "256 vectors, 64 classes" in text and "**Images**" not in text
    assert "**Search**: none" in text
    board = result.leaderboard.set_index("method")["separated.map_at_r"]
    assert len(board) == 6 and (board.drop("Untrained") > board["Untrained"]).all()
    # The method with smaller batches saw as many images.
    assert len(set(result.leaderboard.set_index("method").training_images.drop("Untrained"))) == 1


def test_trunk_and_items_must_fit(clusters, tiny):
    with pytest.raises(
        ConfigError, match=r"model\.trunk: mlbench/conv-small takes images, .*vectors; use the trunk mlp"
    ):
        open_study(load_benchmark("large-batch", [*small(clusters), "model.trunk=conv-small"]))
    with pytest.raises(ConfigError, match=r"mlbench/mlp takes vectors, the items of mlbench/glyphs are images"):
        open_study(load_benchmark(tiny(model={"trunk": "mlp"})))


def test_transforms_of_vectors_are_refused(clusters):
    with pytest.raises(ConfigError, match="transforms: the items of mlbench/npz are vectors"):
        open_study(load_benchmark("large-batch", small(clusters, **{"transforms.flip": 0.5})))


def test_a_batch_size_of_its_own_keeps_the_images_of_an_epoch(clusters):
    tables = {
        "name": "x",
        "extends": "large-batch",
        "methods": [{"name": "A", "loss": "triplet-margin", "batch_size": 24}],
    }
    study = open_study(load_benchmark(tables, small(clusters)))
    training = study.protocol.request(study.plan.jobs[0], {})["training"]
    assert (training["batch_size"], training["iterations_per_epoch"]) == (24, 16)  # 6 * 64 images
    wide = {**tables, "methods": [{**tables["methods"][0], "batch_size": 4096}]}
    with pytest.raises(ConfigError, match=r"methods\[0\] \(A\): a batch of 4096"):
        open_study(load_benchmark(wide, small(clusters)))
