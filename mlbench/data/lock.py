"""One process at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(file: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file, which stays behind empty. The system frees it when a process ends, however it ends.

    Without such locks (Windows) nobody waits.

    Args:
        file: Made if it is not there.
        wait: Called once if another process holds the lock.

    Raises:
        OSError: If the file cannot be made.
    """
    with file.open("a") as handle:
        try:
            import fcntl
        except ImportError:
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
