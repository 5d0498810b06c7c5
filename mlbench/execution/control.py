"""What a running coordinator is asked to do: by signals, and through files in the store.

Ctrl-C once lets the running jobs end and starts no others; twice, or SIGTERM, has the trainings keep their state and
stop; three times ends everything at once. Several coordinators on one store each hear every request.
"""

import json
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from mlbench.execution.guard import Guard
from mlbench.store import Store
from mlbench.store.atomic import write_text
from mlbench.store.lease import BEAT, Lease
from mlbench.store.quarantine import made

#: Lease of a running coordinator; its own id follows.
COORDINATOR = "coordinator-"


class Control:
    """Asked by everything that could stop a job or the whole.

    Attributes:
        draining: No job is to be started any more.
        stopping: Running jobs are to stop.
        interrupted: Somebody outside asked for that.
        cancelled: Keys of jobs that are to stop, or not to start.
    """

    def __init__(self) -> None:
        self.draining = False
        self.stopping = False
        self.interrupted = False
        self.cancelled: set[str] = set()
        self._lease: Lease | None = None

    def stops(self, job: str) -> bool:
        """Whether a job is to stop."""
        return self.stopping or job in self.cancelled

    def interrupt(self, *, now: bool) -> None:
        """Start nothing more; with ``now`` also stop what runs."""
        self.interrupted = self.draining = True
        self.stopping |= now

    def halt(self) -> None:
        """Stop everything from inside, after a failure."""
        self.draining = self.stopping = True

    @contextmanager
    def signals(self, say: Callable[[str], None]) -> Iterator[None]:
        """Heed Ctrl-C and SIGTERM inside the block, where Python lets us: in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self.stopping:
                raise KeyboardInterrupt
            if self.draining:
                self.interrupt(now=True)
                say("stopping: trainings keep their state")
            else:
                self.interrupt(now=False)
                say("finishing what runs; Ctrl-C again to stop it now, it will go on from there")

        def terminate(number: int, frame: FrameType | None) -> None:
            self.interrupt(now=True)

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def requests(self, store: Store) -> Iterator[None]:
        """Heed what others ask through the store inside the block, and show them that there is somebody to ask."""
        # First: whoever asks later may have seen the lease. Others hear it too, so that nobody here removes it.
        before, ended = set(_files(store)), threading.Event()
        # Of a name that nobody else has: who stands in the way only looks, or clears up.
        lease = self._lease = store.leases.wait_for(f"{COORDINATOR}{uuid.uuid4().hex[:12]}")

        def look() -> None:
            while not ended.wait(BEAT / 2):
                for file in set(_files(store)) - before:
                    self._heed(file)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            with Guard(lease, lambda: None):
                yield
        finally:
            ended.set()
            thread.join()

    def all_are_through(self, store: Store) -> bool:
        """Show, inside `requests`, that nothing is left to do here; whether every coordinator of the store shows that.

        The last one to ask hears that it is so, also where two ask at the same time.
        """
        assert self._lease is not None
        self._lease.tell(through=True)
        with suppress(OSError):  # a full disk: the next heartbeat says it
            self._lease.beat()
        found = store.leases.held()
        return all(content.get("through") for name, content, _ in found if name.startswith(COORDINATOR))

    def _heed(self, file: Path) -> None:
        with suppress(OSError, ValueError):
            jobs = json.loads(file.read_text(encoding="utf-8"))["cancel"]
            if jobs is None:
                self.interrupt(now=True)
            else:
                self.cancelled |= set(jobs)


def is_coordinated(store: Store) -> bool:
    """Whether somebody runs the store's plan."""
    return any(name.startswith(COORDINATOR) for name, _, _ in store.leases.held())


def ask_to_cancel(store: Store, jobs: list[str] | None) -> bool:
    """Ask whoever runs the store's plan to stop some jobs, or everything; False if nobody does."""
    if not is_coordinated(store):
        return False
    folder = store.path / "requests"
    made(folder)
    write_text(folder / f"{uuid.uuid4().hex}.json", json.dumps({"cancel": jobs}) + "\n")
    return True


def _files(store: Store) -> list[Path]:
    return list((store.path / "requests").glob("[!.]*.json"))
