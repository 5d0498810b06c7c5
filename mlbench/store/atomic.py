"""Writes that are there completely or not at all, also after a crash or on a full disk."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlbench.api.errors import StoreError


def write_text(path: Path, text: str) -> None:
    """Write a file through a temporary one in the same folder, fsync and rename."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file through a temporary one in the same folder, fsync and rename."""
    with explained(path):
        staged = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
        try:
            write_synced(staged, content)
            staged.replace(path)
            sync_folder(path.parent)
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
            sync_folder(staging)
            _rename_first(staging, target)
            sync_folder(target.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write and fsync."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, where the system can do that."""
    with suppress(PermissionError, IsADirectoryError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)


def check_disk(folder: Path) -> None:
    """Refuse a disk on which two writers could both believe that they were first.

    Raises:
        StoreError: If exclusive creation or the renaming of folders does not work in ``folder``.
    """
    probe = folder / f".probe-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with explained(folder):
        probe.mkdir()
        try:
            missing = _missing(probe)
        finally:
            shutil.rmtree(probe, ignore_errors=True)
    if missing:
        raise StoreError(
            f"{folder}: this disk has no {missing}, without which two writers could lose or double a result; "
            f"choose a folder on a local disk, NFS 4 or Lustre with --store"
        )


def _missing(probe: Path) -> str:
    """What the store needs and this disk does not do; empty if nothing is missing."""
    for name in ("held", "ours", "theirs"):
        (probe / name).mkdir()
        (probe / name / "content").write_text(name, encoding="utf-8")
    with suppress(FileExistsError):
        os.close(os.open(probe / "held" / "content", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return "exclusive creation of files"
    try:
        (probe / "ours").rename(probe / "first")
        with suppress(OSError):
            (probe / "theirs").rename(probe / "first")
        if (probe / "first" / "content").read_text(encoding="utf-8") != "ours" or not (probe / "theirs").exists():
            return "renaming that leaves a folder of another writer alone"
        (probe / "held" / "content").replace(probe / "first" / "content")
    except OSError as error:
        if disk_is_full(error):
            raise
        return "atomic renaming"
    return ""


def _rename_first(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def disk_is_full(error: BaseException) -> bool:
    """Whether an exception says that there is no room left on a disk, or none for this user."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder without write permission into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        if disk_is_full(error):
            advice = "free some space and give the same command again; finished runs are kept"
        elif error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            advice = "choose a writable folder with --store"
        else:
            raise
        raise StoreError(f"{path}: cannot be written: {error.strerror}; {advice}") from error
