import multiprocessing
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from mlbench.data import cache
from mlbench.data.cache import cache_folder, cached_arrays


class Builder:
    """Counts how often it had to build."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Mapping[str, np.ndarray]:
        self.calls += 1
        return {"numbers": np.arange(5000), "flags": np.ones((2, 3), bool)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


def check(arrays: Mapping[str, np.ndarray]) -> None:
    assert np.array_equal(arrays["numbers"], np.arange(5000))
    assert arrays["flags"].shape == (2, 3)


def test_built_once_per_key(folder: Path) -> None:
    build = Builder()
    check(cached_arrays("set", "one", build))
    check(cached_arrays("set", "one", build))
    assert build.calls == 1
    check(cached_arrays("set", "two", build))
    assert build.calls == 2
    assert sorted(path.name for path in folder.iterdir()) == ["set-one.npz", "set-two.npz"]


@pytest.mark.parametrize("damage", ["empty", "half", "bit", "text", "pickle"])
def test_a_damaged_file_is_ignored_and_replaced(folder: Path, damage: str) -> None:
    build = Builder()
    cached_arrays("set", "key", build)
    file = folder / "set-key.npz"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    if damage == "pickle":
        np.savez(file, numbers=np.array([{"an": "object"}], dtype=object))
    else:
        file.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "bit": bytes(flipped), "text": b"hi"}[damage])
    check(cached_arrays("set", "key", build))
    assert build.calls == 2
    check(cached_arrays("set", "key", build))
    assert build.calls == 2


def test_works_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file where the folder should be stops every user, root included.
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "file" / "cache"))
    check(cached_arrays("set", "key", Builder()))


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    check(cached_arrays("set", "key", Builder()))
    assert list(folder.iterdir()) == []


def test_works_without_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MLBENCH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", homeless)
    check(cached_arrays("set", "key", Builder()))


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("MLBENCH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "mlbench"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "mlbench"
    monkeypatch.setenv("MLBENCH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def _build_in_another_process(folder: str) -> int:
    os.environ["MLBENCH_CACHE"] = folder
    return int(cached_arrays("set", "key", Builder())["numbers"].sum())


def test_several_processes_may_build_at_once(folder: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(_build_in_another_process, [str(folder)] * 8) == [sum(range(5000))] * 8
    assert [path.name for path in folder.iterdir()] == ["set-key.npz"]
