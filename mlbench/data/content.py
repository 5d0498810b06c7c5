"""The content hash of a dataset in files, without reading gigabytes at every start."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest
from mlbench.data.cache import cached_arrays, forget_arrays

Part: TypeAlias = str | bytes | npt.NDArray[np.generic]

#: A file changed so recently may change again within the clock's resolution: its fingerprint is not remembered.
_SETTLED_NS = 2_000_000_000

_rereading: ContextVar[bool] = ContextVar("rereading", default=False)


@contextmanager
def rereading() -> Iterator[None]:
    """Within, every file is read, whatever is remembered, and what is remembered is replaced."""
    token = _rereading.set(True)
    try:
        yield
    finally:
        _rereading.reset(token)


def content_hash(parts: Sequence[Part], files: Sequence[tuple[str, Path]]) -> str:
    """SHA-256 (hex) over ``parts`` and the name and bytes of every file; see `mlbench.api.digest`.

    The result is remembered in the cache folder under the fingerprint of the files: path, size and the times (ns) of
    the last change of content and of metadata. While no fingerprint changes, no file is read. A change that keeps all
    four (a failing disk, a clock set back) goes unnoticed here; within `rereading` the bytes are read again.

    Args:
        parts: What else counts.
        files: Name by which a file counts, and where it is.

    Raises:
        DataError: If files are missing; says how many and names the first.
    """
    fingerprints, newest = _fingerprints(files)
    key = digest([*parts, *fingerprints])[:32]

    def read() -> str:
        return digest(_framed(parts, files))

    if _rereading.get():
        forget_arrays("content", key)
    if newest > time.time_ns() - _SETTLED_NS:
        return read()
    arrays = cached_arrays("content", key, lambda: {"sha256": np.frombuffer(bytes.fromhex(read()), np.uint8)})
    return arrays["sha256"].tobytes().hex()


def table_parts(items: ItemTable) -> list[Part]:
    """Everything that an item table says, in a form to hash: what is not said (None) does not count.

    It is hashed rather than the annotation files, so that neither their place nor their line ends matter.
    """
    parts: list[Part] = []
    for name in (field.name for field in fields(items)):
        value = getattr(items, name)
        if value is not None:
            parts += [name, value] if isinstance(value, np.ndarray) else [name, str(len(value)), *value]
    return parts


def _framed(parts: Sequence[Part], files: Sequence[tuple[str, Path]]) -> Iterator[Part]:
    yield from parts
    for name, path in files:
        yield name
        yield path.read_bytes()


def _fingerprints(files: Sequence[tuple[str, Path]]) -> tuple[list[str], int]:
    """One text per file, and the time of the latest change to any."""
    found, missing, newest = [], [], 0
    for name, path in files:
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            missing.append(path)
            continue
        found.append(f"{name}\0{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}")
        newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(files):,} files are missing, the first is {missing[0]}; "
            "unpack the archive again, or take the right folder"
        )
    return found, newest
