"""Bad input: one clear message that names the thing and the next step, exit code 1 or 2, and nothing lost."""

import errno
import itertools
import os

import numpy as np
import pytest
from PIL import Image

from mlbench.store import Store

COLOUR = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


@pytest.fixture
def run(mlbench, benchmark_file, tmp_path):
    """Run a benchmark into one store; exit code, output and messages."""

    def run(*methods, **change):
        return mlbench("run", benchmark_file(*methods, **change), "--store", tmp_path / "store")

    return run


@pytest.fixture
def images(tmp_path):
    """A folder of 16 classes with three small images each."""
    rng = np.random.default_rng(0)
    for index, number in itertools.product(range(16), range(3)):
        (folder := tmp_path / "images" / f"class-{index:02d}").mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, size=(32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


def refused(answer, *words):
    """Exit code 1, no output, one message with these words."""
    code, out, err = answer
    assert (code, out) == (1, ""), err
    assert err.count("mlbench: error: ") == 1 and "Traceback" not in err
    message = err[err.index("mlbench: error: ") :]
    for word in words:
        assert word in message
    return message


# -- the benchmark ---------------------------------------------------------------------------------------------------

BENCHMARKS = {
    "unknown loss": (
        {"methods": [{"name": "A", "loss": "contrastve"}]},
        ["methods[0].loss", "'contrastve'", "did you mean", "contrastive"],
    ),
    "unknown method": ({"methods": ["Contrastve"]}, ["methods[0]", "'Contrastve'", "did you mean 'Contrastive'"]),
    "misspelt hyperparameter": (
        {"methods": ["Untrained", {"name": "A", "loss": {"id": "triplet-margin", "margn": 0.1}}]},
        ["methods[1].loss.margn", "did you mean margin?"],
    ),
    "hyperparameter of another type": (
        {"methods": [{"name": "A", "loss": {"id": "contrastive", "pos_margin": "wide"}}]},
        ["methods[0].loss.pos_margin", "'wide'"],
    ),
    "misspelt search": (
        {"methods": [{"name": "A", "loss": "triplet-margin", "search": {"loss.margn": {"low": 0.0, "high": 1.0}}}]},
        ["methods[0].search.loss", "margn", "did you mean margin?"],
    ),
    "misspelt setting": ({"training": {"batchsize": 8}}, ["training.batchsize", "did you mean batch_size?"]),
    "setting of another type": ({"training": {"batch_size": "8"}}, ["training.batch_size", "'8'"]),
    "setting out of range": ({"folds": 1}, ["folds", "2", "got 1"]),
    "unknown dataset": ({"dataset": {"id": "glyps"}}, ["dataset", "'glyps'", "glyphs"]),
    "unknown protocol": ({"protocol": "reality-chek"}, ["protocol", "reality-check"]),
    "unknown trunk": ({"model": {"trunk": "conv-smal"}}, ["model.trunk", "conv-small"]),
    "too few classes": (
        {"folds": 12},
        ["40 classes are too few for 12 folds", "at least 48", "at most 10 folds"],
    ),
}


@pytest.mark.parametrize("case", BENCHMARKS)
def test_a_benchmark_that_cannot_be_is_refused_before_anything_is_written(run, tmp_path, case):
    change, words = BENCHMARKS[case]
    refused(run(**change), *words)
    assert not (tmp_path / "store").exists()


def test_every_mistake_is_named_at_once(run):
    message = refused(run(folds=1, reproductions=0, training={"batchsize": 8}))
    assert all(word in message for word in ("folds", "reproductions", "training.batchsize"))


def test_a_file_that_is_no_toml_or_not_there_is_named(mlbench, tmp_path):
    (tmp_path / "mine.toml").write_text("name = mine")
    refused(mlbench("run", tmp_path / "mine.toml"), "mine.toml: not valid TOML")
    refused(mlbench("run", tmp_path / "other.toml"), "other.toml", "shipped benchmarks", "quickstart")
    refused(mlbench("run", "quickstrat"), "did you mean quickstart?")


# -- the data --------------------------------------------------------------------------------------------------------


def test_a_good_folder_runs(run, images):
    code, out, err = run(dataset={"id": "folder", "path": str(images)}, transforms=COLOUR)
    assert code == 0, err
    assert "mlbench/folder: 48 images, 16 classes" in out


def one_image(folder):
    for name in ("0.png", "1.png"):
        (folder / "class-03" / name).unlink()


def empty(folder):
    for path in folder.iterdir():
        path.rename(folder.parent / path.name)


def no_images(folder):
    for path in folder.glob("*/*.png"):
        path.rename(path.with_suffix(".txt"))


def torn(folder):
    file = folder / "class-03" / "1.png"
    file.write_bytes(file.read_bytes()[:200])


def few_classes(folder):
    for path in sorted(folder.iterdir())[7:]:
        path.rename(folder.parent / path.name)


FOLDERS = {
    "a class of one image": (one_image, ["class 'class-03'", "has 1 image", "at least 2", "add images"]),
    "an empty folder": (empty, ["images", "no class folders", "sub-folder"]),
    "folders without images": (no_images, ["no images", "16 class folders", ".png"]),
    "too few classes": (few_classes, ["7 classes are too few for 2 folds", "at least 8"]),
    "a truncated image": (
        torn,
        ["1 of 48 images cannot be decoded", os.path.join("class-03", "1.png"), "replace or remove"],
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_is_unfit_is_named_with_what_to_do(run, images, tmp_path, case):
    damage, words = FOLDERS[case]
    damage(images)
    for workers in (0, 1) if case == "a truncated image" else (0,):
        change = {"dataset": {"id": "folder", "path": str(images)}, "transforms": COLOUR}
        refused(run(**change, runtime={"workers": workers}), *words)
    assert not list(Store(tmp_path / "store").records())


def test_damaged_images_can_be_left_out_and_every_record_says_so(mlbench, run, benchmark_file, images, tmp_path):
    change = {"dataset": {"id": "folder", "path": str(images)}, "transforms": COLOUR}
    code, _, err = run(damaged="skip", **change)
    assert code == 0, err
    untouched = {record.run for record in Store(tmp_path / "store").records()}
    (tmp_path / "store").rename(tmp_path / "whole")
    assert run(**change)[0] == 0  # nothing was damaged: the same runs
    assert {record.run for record in Store(tmp_path / "store").records()} == untouched
    torn(images)
    (tmp_path / "store").rename(tmp_path / "stopped")
    code, out, err = run(damaged="skip", **change, runtime={"workers": 1})
    assert code == 0, err
    assert "47 images, 16 classes; 1 damaged images skipped (class-03/1.png)" in out
    records = list(Store(tmp_path / "store").records())
    assert all(record.request["dataset"]["skipped"] == ["class-03/1.png"] for record in records)
    assert not untouched & {record.run for record in records}
    status = mlbench("status", benchmark_file(damaged="skip", **change), "--store", tmp_path / "store")
    assert "skipped as damaged: class-03/1.png" in status[1]
    (images / "class-03" / "0.png").write_bytes(b"")
    refused(run(damaged="skip", **change), "'class-03' (1 left)", "restore", "class")


def test_a_folder_that_is_not_there_is_named(run, tmp_path):
    refused(run(dataset={"id": "folder", "path": str(tmp_path / "nowhere")}), "nowhere", "does not exist", "path")


def test_a_batch_that_does_not_fit_the_classes_is_a_failure_that_says_so(run):
    method = {"name": "A", "loss": "triplet-margin", "samples_per_class": 3}
    code, _, err = run(method, "Untrained")
    assert code in (1, 2)
    assert "batch_size 8 is not a positive multiple of samples_per_class 3" in err


EMBEDDINGS = {
    "lengths differ": ({"labels": np.arange(7)}, "7 labels for 8 rows of embeddings"),
    "NaN": ({"embeddings": np.full((8, 2), np.nan, np.float32)}, "embeddings: row 0 contains NaN"),
}


@pytest.mark.parametrize("case", EMBEDDINGS)
def test_embeddings_that_cannot_be_measured_are_named(mlbench, tmp_path, case):
    change, words = EMBEDDINGS[case]
    good = {"embeddings": np.eye(8, 2, dtype=np.float32), "labels": np.arange(8) // 2}
    np.savez(tmp_path / "mine.npz", **(good | change))
    refused(mlbench("evaluate", tmp_path / "mine.npz"), "mine.npz", words)


# -- the store -------------------------------------------------------------------------------------------------------


def test_a_store_of_another_plan_is_refused_and_kept(mlbench, run, benchmark_file, tmp_path):
    assert run()[0] == 0
    before = [record.run for record in Store(tmp_path / "store").records()]
    refused(run(seed=1), "store", "belongs to another plan", "seed: 0 there, 1 here", "--store")
    status = mlbench("status", benchmark_file(seed=1), "--store", tmp_path / "store")
    refused(status, "store", "belongs to another plan", "--store")
    assert [record.run for record in Store(tmp_path / "store").records()] == before
    assert run()[0] == 0


def test_a_folder_of_other_things_is_no_store(mlbench, run, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "thesis.tex").write_text("")
    refused(run(), "store", "not empty and no store", "--store")
    refused(mlbench("leaderboard", tmp_path / "store"), "store", "no store here", "mlbench run")
    assert os.listdir(tmp_path / "store") == ["thesis.tex"]


def test_a_full_disk_ends_the_run_and_keeps_what_was_finished(run, tmp_path, monkeypatch):
    synced, runs = os.fsync, tmp_path / "store" / "runs"

    def full(descriptor):
        if len(list(runs.glob("[!.]*"))) == 2:  # no space for the third run
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        refused(run(), "store", "No space left on device", "free some space and give the same command again")
    finished = [record.run for record in Store(tmp_path / "store").records()]
    assert len(finished) == 2
    code, out, _ = run()
    assert code == 0 and "4 runs now, 2 from before, 0 failed." in out
    assert not [name for name in os.listdir(tmp_path / "store" / "runs") if name.startswith(".")]


def test_a_record_that_was_torn_is_set_aside_and_done_again(run, tmp_path):
    assert run()[0] == 0
    before = (tmp_path / "store" / "leaderboard.json").read_bytes()
    file = next((tmp_path / "store" / "runs").glob("*/record.json"))
    file.write_bytes(file.read_bytes()[:100])
    code, out, _ = run()
    assert code == 0 and "1 runs now, 5 from before, 0 failed." in out
    assert (tmp_path / "store" / "leaderboard.json").read_bytes() == before
    (why,) = dict(Store(tmp_path / "store").quarantine).values()
    assert file.parent.name in why and "not a run record" in why
