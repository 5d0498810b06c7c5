"""A dataset is prepared completely or not at all, whatever happens on the way."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from miniatures.imagenet import write_imagenet_archives
from PIL import Image
from web_server import offering

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.data import content
from mlbench.data.classic.imagenet import ImageNet
from mlbench.data.folder import Folder
from mlbench.data.prepare import preparing, unpacking
from mlbench.data.prepare.location import dataset_folder, prepared
from mlbench.data.prepare.preparing import prepare
from mlbench.data.prepare.verifying import verify

NAMES = ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    for shade, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (shade * 50,) * 3).save(folder / name)
    return folder


@pytest.fixture
def archive(tmp_path: Path, unpacked: Path) -> Path:
    path = tmp_path / "toy.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in NAMES:
            file.write(unpacked / name, name)
    return path


def _toy(archive: Path, url: str = "", checksum: str | None = None) -> type[Folder]:
    class Toy(Folder):
        archives = (
            Archive(
                name="toy.zip",
                url=url,
                checksum=f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}" if checksum is None else checksum,
            ),
        )
        expected = Counts(classes=2, items=4)

        def __init__(self, path: str | None = None) -> None:
            super().__init__(str(dataset_folder("toy", path)))

    return Toy


def _nothing_prepared(root: Path) -> bool:
    return not prepared("toy") and not (root / "toy").exists()


def test_from_an_archive_a_folder_of_archives_or_a_download(root: Path, archive: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(archive, shelf)
    renamed = archive.rename(archive.with_name("downloaded (1).zip"))
    for source in (shelf / "toy.zip", shelf, renamed):
        folder = prepare("toy", _toy(renamed), str(source), again=True)
        assert folder == root / "toy" == dataset_folder("toy")
        assert set(Folder(str(folder)).items.ids) == set(NAMES)
    with offering(renamed.read_bytes()) as offer:
        prepare("toy", _toy(renamed, f"{offer.url}/toy.zip"), again=True)
    assert set(Folder(str(root / "toy")).items.ids) == set(NAMES)
    assert not (root / ".work" / "toy").exists(), "downloads and links are tidied up"


def test_an_unpacked_folder_is_used_where_it_lies(root: Path, archive: Path, unpacked: Path, tmp_path: Path) -> None:
    assert prepare("toy", _toy(archive), str(unpacked)) == unpacked
    assert [path.name for path in (root / "toy").iterdir()] == [".mlbench-prepared.json"]
    moved = unpacked.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"toy: was prepared from .*mine, which is gone; .*--from PATH"):
        dataset_folder("toy")
    assert prepare("toy", _toy(archive), str(moved)) == moved


def test_what_is_prepared_is_not_prepared_again(root: Path, archive: Path) -> None:
    prepare("toy", _toy(archive), str(archive))
    told: list[str] = []
    prepare("toy", _toy(archive), str(archive), watch=lambda what, done, total: told.append(what))
    assert told == []


def test_a_dataset_without_anything_says_how_to_get_it(root: Path, archive: Path) -> None:
    with pytest.raises(DataError, match=r"toy: not prepared .*datasets prepare toy.*--from PATH"):
        dataset_folder("toy")
    with pytest.raises(DataError, match=r"toy\.zip on request only; get it and name its folder with --from"):
        prepare("toy", _toy(archive))
    with pytest.raises(DataError, match=r"toy: --from nowhere: no such file or folder"):
        prepare("toy", _toy(archive), "nowhere")


def test_another_source_is_not_taken_for_what_was_prepared(root: Path, archive: Path, unpacked: Path) -> None:
    toy, other = _toy(archive, checksum=""), archive.with_name("other.zip")
    shutil.copy(archive, other)
    with zipfile.ZipFile(other, "a") as file:
        file.writestr("readme.txt", "another file, with the same images")
    prepare("toy", toy, str(archive))
    prepare("toy", toy, str(root / "toy"))  # where it lies
    for source in (other, unpacked):
        with pytest.raises(DataError, match=r"toy: was prepared from other files, .*--again"):
            prepare("toy", toy, str(source))
    assert prepare("toy", toy, str(unpacked), again=True) == unpacked == prepare("toy", toy, str(unpacked))
    with pytest.raises(DataError, match=rf"toy: was prepared from {unpacked}, .*--again"):
        prepare("toy", toy, str(archive))
    with pytest.raises(DataError, match="toy: --from nowhere: no such file or folder"):
        prepare("toy", toy, "nowhere")
    assert dataset_folder("toy") == unpacked


def test_an_optional_archive_is_taken_but_not_asked_for(root: Path, archive: Path, tmp_path: Path) -> None:
    class Toy(_toy(archive)):  # type: ignore[misc]
        archives = (*_toy(archive).archives, Archive(name="notes.txt", folder=".notes", optional=True))

    assert not (prepare("toy", Toy, str(archive)) / ".notes").exists()
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(archive, shelf)
    (shelf / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"toy: was prepared from other files, .*--again"):
        prepare("toy", Toy, str(shelf))
    folder = prepare("toy", Toy, str(shelf), again=True)
    assert (folder / ".notes" / "notes.txt").read_text() == "mine"


def test_what_the_user_put_where_prepared_sets_lie_is_never_removed(
    root: Path, archive: Path, unpacked: Path, tmp_path: Path
) -> None:
    mine = root / "toy"
    shutil.copytree(unpacked, mine)
    with pytest.raises(DataError, match=rf"{mine}: holds files that were not prepared; name it with --from"):
        prepare("toy", _toy(archive), str(archive))
    for again in (False, True):
        assert prepare("toy", _toy(archive), str(mine), again=again) == mine == dataset_folder("toy")
    for source in (archive, unpacked):
        with pytest.raises(DataError, match="holds files that were not prepared"):
            prepare("toy", _toy(archive), str(source), again=True)
    assert set(Folder(str(mine)).items.ids) == set(NAMES)


def test_an_archive_that_cannot_be_read_is_named(root: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(hashlib, "file_digest", refuse)
    with pytest.raises(DataError, match=r"toy\.zip: cannot be read: Input/output error"):
        prepare("toy", _toy(archive), str(archive))
    assert archive.exists() and _nothing_prepared(root)


def test_a_wrong_checksum_keeps_the_users_file(root: Path, archive: Path) -> None:
    with pytest.raises(DataError, match=r"md5 is .*its owner's file has 0000"):
        prepare("toy", _toy(archive, checksum="md5:0000"), str(archive))
    assert archive.exists() and _nothing_prepared(root)


def test_an_unknown_checksum_is_noted(root: Path, archive: Path) -> None:
    prepare("toy", _toy(archive, checksum=""), str(archive))
    noted = json.loads((root / "toy" / ".mlbench-prepared.json").read_text())
    assert noted["archives"] == {"toy.zip": f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"}


def test_an_archive_with_other_numbers_is_not_prepared(root: Path, archive: Path, unpacked: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.write(unpacked / NAMES[0], "cat/2.png")
    with pytest.raises(DataError, match="holds 2 classes and 5 items, the complete dataset 2 and 4"):
        prepare("toy", _toy(archive), str(archive))
    assert _nothing_prepared(root)


def test_a_half_archive_without_a_checksum_is_not_prepared(root: Path, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataError, match="cut short"):
        prepare("toy", _toy(archive, checksum=""), str(archive))
    assert _nothing_prepared(root)


def test_a_full_disk_leaves_nothing_and_the_next_try_goes_on(
    root: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []

    def full_after_two(source: object, file: object, length: int) -> None:
        if len(copied) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        shutil.copyfileobj(source, file, length)  # type: ignore[arg-type,type-var]
        copied.append(str(file))

    with monkeypatch.context() as patch:
        patch.setattr(unpacking, "shutil", type("shutil", (), {"copyfileobj": staticmethod(full_after_two)}))
        with pytest.raises(DataError, match="No space left on device; free some space and give the same command again"):
            prepare("toy", _toy(archive), str(archive))
    assert _nothing_prepared(root)
    prepare("toy", _toy(archive), str(archive))
    assert set(Folder(str(root / "toy")).items.ids) == set(NAMES)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_disk_is_told_but_what_is_prepared_can_be_read(root: Path, archive: Path) -> None:
    prepare("toy", _toy(archive), str(archive))
    root.chmod(0o500)
    try:
        assert prepare("toy", _toy(archive), str(archive)) == root / "toy"
        with pytest.raises(DataError, match=r"cannot be written: Permission denied; set MLBENCH_DATA"):
            prepare("other", _toy(archive), str(archive))
    finally:
        root.chmod(0o700)


def test_a_disk_that_cannot_be_written_is_told(root: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match="Read-only file system; set MLBENCH_DATA to a folder that can be written"):
        prepare("toy", _toy(archive), str(archive))


KILLED = """
import os, signal, sys
from mlbench.api.dataset import Archive, Counts
from mlbench.data.folder import Folder
from mlbench.data.prepare import unpacking
from mlbench.data.prepare.preparing import prepare

class Toy(Folder):
    archives = (Archive(name="toy.zip"),)
    expected = Counts(classes=2, items=4)

    def __init__(self, path=None):
        super().__init__(path)

write, written = unpacking._write, []

def write_then_die(member, path):
    write(member, path)
    written.append(path)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

unpacking._write = write_then_die
prepare("toy", Toy, sys.argv[1])
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_unpacking_leaves_nothing_that_looks_finished_and_goes_on(
    root: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(archive)])
    assert killed.returncode == -signal.SIGKILL
    assert _nothing_prepared(root)
    copied: list[int] = []
    copy = shutil.copyfileobj
    monkeypatch.setattr(shutil, "copyfileobj", lambda *arguments: (copied.append(1), copy(*arguments)))
    prepare("toy", _toy(archive, checksum=""), str(archive))
    assert len(copied) == 1, "three of four images were there already"
    assert set(Folder(str(root / "toy")).items.ids) == set(NAMES)


def test_a_second_process_waits_and_finds_it_done(root: Path, archive: Path) -> None:
    toy, waiting, told = _toy(archive), threading.Event(), []

    def watch(what: str, done: int, total: int) -> None:
        told.append(what)
        waiting.set()

    second = threading.Thread(target=prepare, args=("toy", toy, str(archive)), kwargs={"watch": watch})
    (root / ".work" / "toy").mkdir(parents=True)
    with FileLock(root / ".work" / "toy.lock"):
        second.start()
        assert waiting.wait(30)
        # What the first process does meanwhile.
        shutil.copytree(archive.with_name("mine"), root / "toy")
        (root / "toy" / ".mlbench-prepared.json").write_text('{"archives": {"toy.zip": ""}}')
    second.join(30)
    assert told == ["waiting for another process that prepares toy"]


def test_a_dataset_may_build_its_folder(root: Path, archive: Path) -> None:
    class Built(_toy(archive)):  # type: ignore[misc]
        @classmethod
        def build_prepared(cls, files: Path, target: Path, progress: preparing.Callable[[int, int], None]) -> None:
            assert [path.name for path in files.iterdir()] == ["toy.zip"]
            assert not list(target.iterdir())
            with zipfile.ZipFile(files / "toy.zip") as file:
                file.extractall(target)
            progress(4, 4)

    told = []
    prepare("toy", Built, str(archive), watch=lambda *step: told.append(step))
    assert ("building toy", 4, 4) in told
    assert set(Folder(str(root / "toy")).items.ids) == set(NAMES)


def test_verify_counts_hashes_and_decodes(root: Path, archive: Path) -> None:
    toy = _toy(archive)
    folder = prepare("toy", toy, str(archive))
    found = verify("toy", toy, deep=True)
    assert (found["classes"], found["items"], found["content_known"]) == (2, 4, True)

    (folder / NAMES[1]).write_bytes((folder / NAMES[0]).read_bytes())
    with pytest.raises(DataError, match=r"toy: the content of .* is not what was prepared .*--again"):
        verify("toy", toy)
    (folder / NAMES[1]).write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"1 of 4 items cannot be decoded:\n  .*1\.png"):
        verify("toy", toy, str(folder), deep=True)
    (folder / NAMES[1]).unlink()
    with pytest.raises(DataError, match=r"class 'cat'.* has 1 image"):
        verify("toy", toy)
    prepare("toy", toy, str(archive), again=True)
    verify("toy", toy, deep=True)


def test_verify_reads_files_that_seem_unchanged(root: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a disk decays: nothing about the file has changed but its bytes."""
    monkeypatch.setenv("MLBENCH_CACHE", str(root / "cache"))
    monkeypatch.setattr(content, "_fingerprints", lambda files: ([f"{name} {path}" for name, path in files], 0))
    toy = _toy(archive)
    folder = prepare("toy", toy, str(archive))
    before = toy().content_hash
    (folder / NAMES[1]).write_bytes((folder / NAMES[0]).read_bytes())
    assert toy().content_hash == before  # it is remembered
    with pytest.raises(DataError, match=r"toy: the content of .* is not what was prepared"):
        verify("toy", toy)
    assert toy().content_hash != before


def test_imagenet_is_prepared_from_its_owners_archives(root: Path, tmp_path: Path) -> None:
    shelf = write_imagenet_archives(tmp_path / "shelf", tmp_path / "scratch")

    class Miniature(ImageNet):
        archives = tuple(replace(one, checksum="") for one in ImageNet.archives)
        expected = Counts(classes=8, items=24)

    with pytest.raises(DataError, match=r"ILSVRC2012_img_train\.tar: md5 is .*1d675b47d978889d74fa0da5fadfb00e"):
        prepare("imagenet", ImageNet, str(shelf))
    folder = prepare("imagenet", Miniature, str(shelf))
    assert Miniature().content_hash == ImageNet(str(tmp_path / "scratch")).content_hash
    assert not list(folder.rglob("*.tar")), "the tars of the classes are read through, not kept"
    (shelf / "ILSVRC2012_img_val.tar").unlink()
    with pytest.raises(DataError, match=r"gives ILSVRC2012_img_val\.tar on request only"):
        prepare("imagenet", Miniature, str(shelf), again=True)
