"""Writes that are there completely or not at all, also after a crash or on a full disk."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbench.api.errors import StoreError


def write_text(path: Path, text: str) -> None:
    """Write a file through a temporary one in the same folder, fsync and rename."""
    with explained(path):
        staged = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
        try:
            write_synced(staged, text.encode())
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that becomes ``target`` when the block ends well.

    If ``target`` has appeared meanwhile, its writer was first and this one's work is dropped.
    """
    with explained(target):
        staging = target.with_name(f".staging-{target.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        staging.mkdir(parents=True)
        try:
            yield staging
            _rename_first(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write and fsync."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename_first(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder without write permission into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "free some space and give the same command again; finished runs are kept"
        elif error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            advice = "choose a writable folder with --store"
        else:
            raise
        raise StoreError(f"{path}: cannot be written: {error.strerror}; {advice}") from error
