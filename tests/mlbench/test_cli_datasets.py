"""`mlbench datasets`: what it prints, and what it says when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from miniatures.fashion import write_fashion


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MLBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return write_fashion(tmp_path_factory.mktemp("package"))


def _states(mlbench):
    _, out, _ = mlbench("datasets", "ls", "--json")
    return {row["id"].removeprefix("mlbench/"): row["state"] for row in json.loads(out)}


def test_ls_says_what_is_prepared(mlbench, data):
    states = _states(mlbench)
    assert (states["glyphs"], states["folder"], states["imagenet"]) == ("needs nothing", "needs a path", "not prepared")
    assert states["emoji"] == states["cub200"] == "not prepared"
    code, out, _ = mlbench("datasets", "ls")
    assert code == 0 and "mlbench/cub200" in out and "not prepared   CUB-200-2011" in out


def test_from_a_folder_to_a_verified_dataset(mlbench, data, package):
    code, out, err = mlbench("datasets", "prepare", "fashion-mnist", "--from", str(package))
    assert code == 0 and "checking fashion-mnist" in err
    assert f"fashion-mnist: 10 classes, 70,000 items, in {package}" in out
    assert _states(mlbench)["fashion-mnist"] == "prepared"
    _, out, _ = mlbench("datasets", "prepare", "fashion-mnist", "--from", str(package))
    assert "was prepared already" in out and "--again" in out
    code, out, _ = mlbench("datasets", "verify", "fashion-mnist", "--deep")
    assert code == 0 and "as its owner's" in out and "as when it was prepared" in out and "can be decoded" in out
    _, out, _ = mlbench("datasets", "show", "fashion-mnist")
    for line in ("licence   MIT", "arXiv:1708.07747", f"here      {package}", "train 60,000, test 10,000"):
        assert line in out


def test_show_says_how_to_get_what_is_not_there(mlbench, data):
    code, out, _ = mlbench("datasets", "show", "cub200")
    assert code == 0 and "200 classes, 11,788 items" in out and "not prepared" in out
    assert "CUB_200_2011.tgz  https://data.caltech.edu/" in out and "sha256:0c685df5" in out


def test_what_needs_no_files_can_be_verified(mlbench, data):
    code, out, _ = mlbench("datasets", "verify", "digits")
    assert code == 0 and "digits: 10 classes, 1,797 items" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "cub200"), "cub200: not prepared"),
        (("verify", "folder"), "give its --path"),
        (("verify", "glyphs", "--path", "x"), "needs no files"),
        (("prepare", "glyphs"), "has nothing to fetch"),
        (("prepare", "glyphs", "--from", "."), "needs no files"),
        *(
            (
                ("prepare", own, "--from", "."),
                f"{own}: is yours, wherever it lies, and is not prepared; a benchmark "
                f'file says where: dataset = {{ id = "{own}", path = "..." }}',
            )
            for own in ("folder", "csv", "npz")
        ),
        (("prepare", "emojis"), "did you mean"),
        (
            ("prepare", "imagenet"),
            "gives ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar, ILSVRC2012_devkit_t12.tar.gz",
        ),
        (("prepare", "cub200", "--from", "nowhere"), "no such file or folder"),
    ],
)
def test_mistakes_are_named(mlbench, data, arguments, message):
    code, out, err = mlbench("datasets", *arguments)
    assert (code, out) == (1, "") and message in err


def test_the_wrong_folder_is_refused(mlbench, data, tmp_path):
    (tmp_path / "other").mkdir()
    code, _, err = mlbench("datasets", "prepare", "cub200", "--from", str(tmp_path / "other"))
    assert code == 1 and "images.txt" in err
    assert not (data / "cub200").exists()


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from mlbench.cli.datasets import app; print({'torch', 'numpy', 'filelock'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.stdout.strip() == "set()"
