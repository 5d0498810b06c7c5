"""The field's datasets prepared from what a user has of them: unpacked, or with files that may be missing."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from miniatures.every import WRITERS
from miniatures.inaturalist import write_inaturalist
from miniatures.inshop import write_inshop

from mlbench.api.dataset import Dataset
from mlbench.api.errors import DataError
from mlbench.data.prepare.location import dataset_folder
from mlbench.data.prepare.preparing import prepare
from mlbench.data.prepare.verifying import verify
from mlbench.registry import load
from mlbench.registry.entries import find

#: What an owner's folder is called, where the archive has one and the writer wrote its inside alone.
TOPS = {"inshop": "In-shop Clothes Retrieval Benchmark", "flowers102": "flowers-102"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def _miniature(name: str, monkeypatch: pytest.MonkeyPatch) -> type[Dataset]:
    """The dataset, of any number of images, and with archives that nothing can fetch."""
    cls = load(find("datasets", name))
    monkeypatch.setattr(cls, "expected", None)
    monkeypatch.setattr("mlbench.data.prepare.preparing.fetch", lambda one, *_: pytest.fail(f"{one.name} is fetched"))
    return cls


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "csv"])
def test_an_unpacked_folder_is_used_where_it_lies(
    name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = _miniature(name, monkeypatch)
    mine = tmp_path / "mine"
    inside = mine / TOPS.get(name, "")
    inside.mkdir(parents=True)
    written = WRITERS[name](inside)
    for folder in dict.fromkeys((mine, inside, written)):
        assert prepare(name, cls, str(folder), again=True) == folder == dataset_folder(name)
    assert len(cls().items) == len(cls(path=str(mine)).items) == verify(name, cls)["items"]


def test_inshop_is_prepared_without_its_boxes_or_with_them(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inshop = _miniature("inshop", monkeypatch)
    images = write_inshop(tmp_path / "written")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.make_archive(str(shelf / "img"), "zip", images, "img")
    shutil.copy(images / "list_eval_partition.txt", shelf)
    prepare("inshop", inshop, str(shelf))
    assert inshop().items.boxes is None
    shutil.copy(images / "list_bbox_inshop.txt", shelf)
    prepare("inshop", inshop, str(shelf), again=True)
    assert inshop().content_hash == inshop(path=str(images)).content_hash and inshop().items.boxes is not None


@pytest.mark.parametrize("above", [False, True])
def test_inshop_is_prepared_from_its_owners_folders(
    above: bool, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inshop = _miniature("inshop", monkeypatch)
    written = write_inshop(tmp_path / TOPS["inshop"], folders=True)
    shutil.make_archive(str(written / "Img" / "img"), "zip", written / "Img", "img")
    (written / "Img" / "img").rename(tmp_path / "img")
    folder = prepare("inshop", inshop, str(tmp_path if above else written))
    assert folder == root / "inshop" and inshop().items.boxes is not None
    (tmp_path / "img").rename(written / "Img" / "img")
    assert inshop().content_hash == inshop(path=str(written)).content_hash


def test_lists_of_a_split_by_class_come_with_the_archives_or_later(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inaturalist = _miniature("inaturalist2018", monkeypatch)
    monkeypatch.setattr(inaturalist, "archives", tuple(replace(one, checksum="") for one in inaturalist.archives))
    written = write_inaturalist(tmp_path / "written")
    shelf, lists = tmp_path / "shelf", written / "Inat_dataset_splits"
    shutil.copytree(lists, shelf / lists.name)
    for name in ("train_val2018", "train2018.json", "val2018.json"):
        shutil.make_archive(str(shelf / name), "gztar", written, name)
    prepare("inaturalist2018", inaturalist, str(shelf))
    assert inaturalist().content_hash == inaturalist(path=str(written)).content_hash
    assert set(inaturalist().items.splits) == {"train", "test"}

    for file in (shelf / lists.name).iterdir():
        file.rename(shelf / file.name)
    assert prepare("inaturalist2018", inaturalist, str(shelf)) == root / "inaturalist2018"  # side by side is as well
    for file in shelf.glob("Inaturalist_*"):
        file.unlink()
    folder = prepare("inaturalist2018", inaturalist, str(shelf), again=True)
    assert set(inaturalist().items.splits) == {"train", "val"}
    shutil.copytree(lists, folder / lists.name)
    with pytest.raises(
        DataError, match=rf"is not what was prepared .*, and with --from {re.escape(str(folder))} takes"
    ):
        verify("inaturalist2018", inaturalist)
    assert prepare("inaturalist2018", inaturalist, str(folder), again=True) == folder
    assert verify("inaturalist2018", inaturalist)["content_known"]
    assert set(inaturalist().items.splits) == {"train", "test"}


@pytest.mark.parametrize("name", ["inshop", "cars196", "imagenet"])
def test_what_only_its_owner_gives_is_not_said_to_be_fetched(name: str, root: Path) -> None:
    cls = load(find("datasets", name))
    for read in (lambda: cls().items, lambda: verify(name, cls)):
        with pytest.raises(DataError, match=rf"{name}: not prepared .* on request only; .*--from PATH") as caught:
            read()
        assert "fetches" not in str(caught.value)
    assert "list_bbox" not in str(caught.value)


def test_a_wrong_folder_is_corrected_by_the_option_that_named_it(root: Path, tmp_path: Path) -> None:
    cls = load(find("datasets", "cub200"))
    right = WRITERS["cub200"](tmp_path / "mine")
    with pytest.raises(DataError, match=rf"cub200: .*; name {re.escape(str(right))} with --from$"):
        prepare("cub200", cls, str(right / "images"))
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"name the folder that the archives unpack into with --from$"):
        prepare("cub200", cls, str(tmp_path / "other"))
