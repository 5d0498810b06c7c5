"""The remembered content hash: never another one than the bytes have, unless a change leaves no trace at all."""

import hashlib
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

from mlbench.api import DataError, ItemTable, digest
from mlbench.data import content
from mlbench.data.content import content_hash, rereading, table_parts

BYTES = {"a": b"one", "b": b"two", "c": b""}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three files that were last changed some time ago, and a cache of its own."""
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "cache"))
    paths = []
    for name, data in BYTES.items():
        paths.append((name, tmp_path / name))
        (tmp_path / name).write_bytes(data)
    later(monkeypatch, 60)
    return paths


def later(monkeypatch, seconds):
    now = time.time_ns()
    monkeypatch.setattr(content, "time", SimpleNamespace(time_ns=lambda: now + seconds * 1_000_000_000))


def expected(*parts, **changed):
    return digest([*parts, *(part for name, data in (BYTES | changed).items() for part in (name, data))])


@pytest.fixture
def readings(monkeypatch):
    """Names of the files that were read."""
    read, seen = content.Path.read_bytes, []
    monkeypatch.setattr(content.Path, "read_bytes", lambda self: (seen.append(self.name), read(self))[1])
    return seen


def test_it_is_the_digest_of_parts_names_and_bytes(files):
    assert content_hash(["x"], files) == expected("x") == content_hash(["x"], files)
    assert content_hash(["y"], files) == expected("y")


def test_what_has_not_changed_is_read_once(files, readings):
    first = content_hash([], files)
    assert readings == ["a", "b", "c"]
    assert content_hash([], files) == first and len(readings) == 3
    assert content_hash(["other"], files) != first and len(readings) == 6


def test_any_change_is_noticed(files, readings):
    content_hash([], files)
    path = files[1][1]
    before = path.stat()
    path.write_bytes(b"owt")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time of change
    assert content_hash([], files) == expected(b=b"owt")
    assert content_hash([], [*files[:2], ("d", files[2][1])]) != expected(b=b"owt")  # another name


def test_a_file_that_has_just_changed_is_not_remembered(files, readings, monkeypatch, tmp_path):
    later(monkeypatch, 0)
    assert content_hash([], files) == content_hash([], files)
    assert len(readings) == 6 and not (tmp_path / "cache").exists()


def test_a_change_without_trace_is_found_by_reading_again(files, monkeypatch):
    """As when a disk decays: nothing about the file has changed but its bytes."""
    monkeypatch.setattr(content, "_fingerprints", lambda files: (["as before"], 0))
    before, path = content_hash([], files), files[0][1]
    path.write_bytes(b"0ne")
    assert content_hash([], files) == before
    with rereading():
        assert content_hash([], files) == expected(a=b"0ne")
    assert content_hash([], files) == expected(a=b"0ne")  # what was remembered is replaced


def test_a_damaged_or_unwritable_cache_only_costs_time(files, tmp_path, monkeypatch):
    right = content_hash([], files)
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(b"PK\x03\x04 broken")
    assert content_hash([], files) == right
    monkeypatch.setenv("MLBENCH_CACHE", str(files[0][1] / "below a file"))
    assert content_hash([], files) == right


def test_missing_files_are_counted(files, tmp_path):
    with pytest.raises(DataError, match=r"2 of 5 files are missing, the first is .*gone; unpack the archive again"):
        content_hash([], [*files, ("x", tmp_path / "gone"), ("y", tmp_path / "a" / "below")])


def test_every_column_of_the_table_counts():
    plain = {"ids": ("a", "b"), "labels": np.array([0, 1]), "class_names": ("x", "y")}
    further = {
        "views": ("v", "w"),
        "splits": ("train", "test"),
        "roles": ("query", ""),
        "boxes": np.array([[0, 0, 1, 1], [0, 0, 2, 2]]),
        "superclasses": np.array([0, 0]),
        "superclass_names": ("s",),
    }
    superclasses = {name: further.pop(name) for name in ("superclasses", "superclass_names")}
    tables = [plain, *({**plain, name: value} for name, value in further.items()), {**plain, **superclasses}]
    tables += [{**plain, "ids": ("ab", "")}, {**plain, "labels": np.array([1, 0])}]
    hashes = {digest(table_parts(ItemTable(**table))) for table in tables}
    assert len(hashes) == len(tables) and all(len(value) == hashlib.sha256().digest_size * 2 for value in hashes)
