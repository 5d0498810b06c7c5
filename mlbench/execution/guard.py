"""Threads beside a run: one shows life in its lease, one hears when the run is to stop."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from mlbench.execution.failures import STOPPED
from mlbench.store.lease import BEAT, Lease

#: Seconds that a training gets to reach the end of a step after it was asked to stop.
GRACE = 30.0


class Guard:
    """Watches until the block ends.

    Args:
        lease: Is kept alive.
        lost: Called when another holder took it over.
    """

    def __init__(self, lease: Lease, lost: Callable[[], None]) -> None:
        self._lease, self._lost = lease, lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Guard":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._lease.release()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):  # a disk that is full or away for a while
                if not self._lease.beat():
                    self._lost()
                    return


def listen(lifeline: int, stop: threading.Event) -> None:
    """Set ``stop`` at the first word on a pipe, or when its other end is gone; then see to it that the process ends."""

    def wait() -> None:
        os.read(lifeline, 1)
        stop.set()
        threading.Event().wait(GRACE)
        give_up()

    threading.Thread(target=wait, daemon=True).start()


def give_up() -> None:
    """End the process as it is: somebody else has its work, or nobody wants it."""
    os._exit(STOPPED)
