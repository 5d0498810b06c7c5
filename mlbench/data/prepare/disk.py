"""Disks that are full or cannot be written, told in the user's terms."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbench.api.errors import DataError


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder without write permission into a `DataError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "free some space and give the same command again, or set MLBENCH_DATA to a folder on another disk"
        elif error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            advice = "set MLBENCH_DATA to a folder that can be written"
        else:
            raise
        raise DataError(f"{path}: cannot be written: {error.strerror}; {advice}") from error
