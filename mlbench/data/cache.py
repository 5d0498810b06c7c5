"""A per-user cache of built arrays: only ever a shortcut, never a reason to fail."""

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

#: How the name of a file ends that is still being written.
TEMPORARY = ".tmp"

Arrays: TypeAlias = Mapping[str, npt.NDArray[np.generic]]


def cached_arrays(name: str, key: str, build: Callable[[], Arrays]) -> Arrays:
    """The arrays that ``build`` returns, read from the cache where an earlier call left them.

    The file is ``<name>-<key>.npz``. It is written beside its final name and then renamed, so that processes that build
    at once each leave a whole file; npz members carry checksums, so a damaged file is noticed and built again.

    Args:
        name: What it is, for people who look into the folder.
        key: Hash over everything that can change what ``build`` returns.
        build: Called when there is nothing usable in the cache.
    """
    try:
        path = cache_folder() / f"{name}-{key}.npz"
    except RuntimeError:  # There is no home folder.
        return build()
    arrays = _read(path)
    if arrays is None:
        arrays = build()
        # A full or read-only disk costs the next run some seconds, nothing else.
        with contextlib.suppress(OSError):
            _write(path, arrays)
    return arrays


def forget_arrays(name: str, key: str) -> None:
    """Remove what `cached_arrays` left under ``name`` and ``key``, if anything."""
    with contextlib.suppress(OSError, RuntimeError):
        (cache_folder() / f"{name}-{key}.npz").unlink()


def cache_folder() -> Path:
    """``$MLBENCH_CACHE``, else ``$XDG_CACHE_HOME/mlbench``, else ``~/.cache/mlbench``."""
    if own := os.environ.get("MLBENCH_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "mlbench"
    return Path.home() / ".cache" / "mlbench"


def _read(path: Path) -> Arrays | None:
    try:
        # Opened here: numpy leaves a file open that turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, arrays: Arrays) -> None:
    with whole_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` when the block ends well, and leaves nothing otherwise.

    Raises:
        OSError: If the disk is full or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # another process has tidied up
            os.unlink(temporary)
        raise
