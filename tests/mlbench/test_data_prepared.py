"""Prepared images on disk: the same pixels as decoding every time, whole or not there, shared, resumed."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import KilledAt, Memory, random_images
from PIL import Image

from mlbench.api.errors import DataError
from mlbench.data import Folder, ImageStore, ImageView
from mlbench.data import preparation as layout_module
from mlbench.data import prepared as prepared_module
from mlbench.data.decoders import Decoders
from mlbench.data.lock import locked
from mlbench.data.prepared import prepare

#: Not in order of classes, as some owners list them.
LABELS = [index * 7 % 5 for index in range(23)]
EVERY = range(5)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An own cache folder in which even the smallest set lies on disk, in chunks of four images."""
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prepared_module, "_IN_MEMORY", 0)
    monkeypatch.setattr(prepared_module, "_SAMPLE", 1)
    monkeypatch.setattr(layout_module, "_FEWEST_IMAGES", 4)
    return tmp_path / "cache"


@pytest.fixture
def pictures():
    """Images of many sizes, grey and colour."""
    return random_images(*[(9 + index, 31 - index, (1, 3)[index % 2]) for index in range(23)])


def pixels(view: ImageView) -> list[torch.Tensor]:
    return [image.clone() for image in view.images(range(len(view)))]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def chunks(cache: Path) -> list[Path]:
    return sorted(cache.glob("images/*/*.pixels"))


@pytest.mark.parametrize("resize", [None, 8])
@pytest.mark.parametrize("classes", [[0], [3, 1], [4, 0, 2], list(EVERY)])
def test_disk_and_memory_give_the_same_views(pictures, monkeypatch, resize, classes):
    on_disk = ImageStore.build(Memory(pictures, LABELS), resize).view(classes)
    monkeypatch.setattr(prepared_module, "_IN_MEMORY", 2**26)
    in_memory = ImageStore.build(Memory(pictures, LABELS), resize).view(classes)
    assert on_disk.ids == in_memory.ids and on_disk.labels.tolist() == in_memory.labels.tolist()
    assert on_disk.channels == in_memory.channels == 3
    assert same(pixels(on_disk), pixels(in_memory))


def test_images_are_decoded_once(pictures, cache):
    dataset = Memory(pictures, LABELS)
    ImageStore.build(dataset, None)
    assert len(chunks(cache)) == 6
    before = dataset.loads
    ImageStore.build(dataset, None)
    assert dataset.loads - before == 2 * prepared_module._SAMPLE
    ImageStore.build(Memory(pictures, LABELS, "other"), None)
    ImageStore.build(dataset, 8)
    assert len(chunks(cache)) == 18


def test_what_a_view_maps_are_its_own_classes_alone(pictures):
    view = ImageStore.build(Memory(pictures, LABELS), None).view([1])
    own = sum(image.size for image, label in zip(pictures, LABELS, strict=True) if label == 1)
    assert sum(buffer.untyped_storage().nbytes() for buffer in view._pixels._buffers) == own


def test_classes_scattered_over_a_chunk_take_few_descriptors(monkeypatch):
    monkeypatch.setattr(layout_module, "_FEWEST_IMAGES", 200)
    images = random_images(*[(3, 4, 3)] * 200)
    store = ImageStore.build(Memory(images, list(range(100)) * 2), None)
    view = store.view(range(0, 100, 2))
    assert len(view._pixels._buffers) == 1
    for image, name in zip(pixels(view), view.ids, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), images[int(name[4:])])


def test_what_is_done_to_an_image_stays_with_the_process(pictures):
    dataset = Memory(pictures, LABELS)
    view = ImageStore.build(dataset, None).view([0])
    before = pixels(view)
    view.images([0])[0].fill_(0)
    assert same(pixels(ImageStore.build(dataset, None).view([0])), before)


def test_the_store_gives_what_decoding_every_time_gives(tmp_path):
    """JPEGs, decoded by Pillow at every use, against the prepared images."""
    for index in range(4):
        (folder := tmp_path / "set" / str(index % 2)).mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(random_images((40 + index, 60, 3))[0]).resize((90, 61 + index))
        noise.save(folder / f"{index}.jpg", quality=80)
    view = ImageStore.build(Folder(str(tmp_path / "set")), 32).view([0, 1])
    for image, name in zip(pixels(view), view.ids, strict=True):
        decoded = Image.open(tmp_path / "set" / name)
        width = decoded.width * 32 // decoded.height
        expected = np.asarray(decoded.resize((width, 32), Image.Resampling.BILINEAR))
        assert np.array_equal(image.permute(1, 2, 0), expected)


class Stops(BaseException):
    """As Ctrl-C."""


def test_a_preparation_that_was_stopped_goes_on(pictures, cache):
    broken = list(pictures)
    broken[18] = Stops()  # of class 1, after the first chunk
    with pytest.raises(Stops):
        ImageStore.build(Memory(broken, LABELS), None)
    done = len(chunks(cache))
    assert 0 < done < 6 and not list(cache.glob("images/*/.*"))
    dataset = Memory(pictures, LABELS)
    view = ImageStore.build(dataset, None).view(EVERY)
    assert dataset.loads == len(pictures) - 4 * done + 2 * prepared_module._SAMPLE
    assert same(pixels(view), pixels(ImageStore.build(Memory(pictures, LABELS, "afresh"), None).view(EVERY)))


KILLED = """
import sys
sys.path.insert(0, {folder!r})
from pictures import KilledAt, random_images
from mlbench.data import preparation, prepared
prepared._IN_MEMORY, prepared._SAMPLE, preparation._FEWEST_IMAGES = 0, 1, 4
KilledAt.at = 18
prepared.prepare(KilledAt(random_images(*[(6, 7, 3)] * 23), {labels}), None)
"""


def test_a_preparation_that_was_killed_goes_on(cache, monkeypatch):
    code = KILLED.format(folder=str(Path(__file__).parent), labels=LABELS)
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    done = len(chunks(cache))
    assert 0 < done < 6 and len(list(cache.glob("images/*/.*"))) == 1
    monkeypatch.setattr(KilledAt, "at", -1)
    dataset = KilledAt(images := random_images(*[(6, 7, 3)] * 23), LABELS)
    view = ImageStore.build(dataset, None).view(EVERY)
    assert dataset.loads == 23 - 4 * done + 2 * prepared_module._SAMPLE
    assert not list(cache.glob("images/*/.*"))
    assert same(pixels(view), [torch.from_numpy(image).permute(2, 0, 1) for image in images])


def test_several_processes_prepare_a_set_and_tell_how_far_they_are(tmp_path, cache):
    for index, image in enumerate(random_images(*[(20, 24 + index, 3) for index in range(10)])):
        (folder := tmp_path / "set" / str(index % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")
    (tmp_path / "set" / "1" / "9.png").write_bytes(b"no image")
    path = str(tmp_path / "set")
    told = []
    prepare(Folder(path), 16, Decoders({"id": "folder", "path": path}, processes=2), lambda *news: told.append(news))
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1] == (10, 10, 0.0) and all(total == 10 for _, total, _ in told)
    parallel = [path.read_bytes() for path in chunks(cache)]
    shutil.rmtree(cache)
    prepare(Folder(path), 16)
    assert parallel == [path.read_bytes() for path in chunks(cache)] and len(parallel) == 3
    shutil.rmtree(cache)
    with pytest.raises(DataError, match="'nowhere'"):
        prepare(Folder(path), 16, Decoders({"id": "nowhere"}))


@pytest.mark.parametrize("damage", ["short", "empty", "gone", "grown"])
def test_a_torn_chunk_is_made_again(pictures, cache, damage):
    dataset = Memory(pictures, LABELS)
    before = pixels(ImageStore.build(dataset, None).view(EVERY))
    file = chunks(cache)[2]
    whole = file.read_bytes()
    torn = {"short": whole[:-5], "empty": b"", "gone": None, "grown": whole + b"more"}[damage]
    file.unlink() if torn is None else file.write_bytes(torn)
    loads = dataset.loads
    assert same(pixels(ImageStore.build(dataset, None).view(EVERY)), before)
    assert dataset.loads - loads == 4 + 2 * prepared_module._SAMPLE


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(cache, monkeypatch):
    images = random_images((1, 1, 3)) * 10
    images[0] = np.broadcast_to(images[0], (1000, 1000, 3))  # the sample: all are guessed to be like it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 20_000_000))
    with pytest.raises(DataError, match=r"needs about 0\.03 GB, 0\.02 GB are free; free some space, or set MLBENCH_C"):
        ImageStore.build(Memory(images, [0] * 10), None)
    assert not chunks(cache)


def test_a_disk_that_fills_up_leaves_whole_chunks_and_says_what_to_do(pictures, cache, monkeypatch):
    synced = os.fsync

    def full(descriptor):
        if len(chunks(cache)) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    with monkeypatch.context() as patched, pytest.raises(DataError, match=r"No space left .* free some space"):
        patched.setattr(os, "fsync", full)
        ImageStore.build(Memory(pictures, LABELS), None)
    assert len(chunks(cache)) == 2 and not list(cache.glob("images/*/.*"))
    dataset = Memory(pictures, LABELS)
    ImageStore.build(dataset, None)
    assert dataset.loads == len(pictures) - 8 + 2 * prepared_module._SAMPLE


def test_a_cache_that_cannot_be_written_matters_to_large_sets_only(pictures, tmp_path, monkeypatch):
    # A file where the folder should be stops every user, root included.
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"cannot be written .* set MLBENCH_CACHE to a folder that can"):
        ImageStore.build(Memory(pictures, LABELS), None)
    monkeypatch.setattr(prepared_module, "_IN_MEMORY", 2**26)
    assert len(ImageStore.build(Memory(pictures, LABELS), None)) == 23


def test_prepared_images_serve_where_nothing_can_be_written(pictures, cache):
    before = pixels(ImageStore.build(Memory(pictures, LABELS), None).view(EVERY))
    for path in [*chunks(cache), *cache.glob("images/*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        assert same(pixels(ImageStore.build(Memory(pictures, LABELS), None).view(EVERY)), before)
    finally:
        for path in cache.glob("images/*"):
            path.chmod(0o700)


def test_other_images_under_the_same_hash_are_noticed(pictures):
    ImageStore.build(Memory(pictures, LABELS), None)
    others = [255 - image for image in pictures]
    with pytest.raises(DataError, match=r"item0: the dataset gives another image .* its content_hash is the same"):
        ImageStore.build(Memory(others, LABELS), None)


def test_damaged_images_are_named_until_they_can_be_read_again(pictures):
    broken = list(pictures)
    broken[3], broken[8] = DataError("/data/3.jpg: truncated"), OSError("disk gone")
    for _ in range(2):  # found, then remembered
        with pytest.raises(DataError, match="2 of 23 images cannot be decoded") as error:
            ImageStore.build(Memory(broken, LABELS), None)
        assert "\n  /data/3.jpg: truncated\n  disk gone\n" in str(error.value)
    view = ImageStore.build(Memory(pictures, LABELS), None).view(EVERY)
    assert np.array_equal(view.images([8])[0].permute(1, 2, 0)[..., :1], pictures[8][..., :1])


def test_one_process_waits_for_another(tmp_path):
    waiting, through = threading.Event(), threading.Event()

    def second() -> None:
        with locked(tmp_path / "lock", waiting.set):
            through.set()

    with locked(tmp_path / "lock", lambda: pytest.fail("nobody else is there")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10) and not through.is_set()
    thread.join(10)
    assert through.is_set()
