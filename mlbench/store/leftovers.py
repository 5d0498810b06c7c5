"""What a plan that is done leaves in a store: half-written files and leases of the killed, checkpoints, requests."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from mlbench.store.lease import Leases
from mlbench.store.store import HEADER_LEASE, Store

#: Seconds between two looks at a lease without a word.
_PAUSE = 0.1

#: Names of what `mlbench.store.atomic` renames when it is complete, or removes.
_STAGED = re.compile(r"\.(.+\.\d+\.[0-9a-f]{8}|(staging|probe)-.*[0-9a-f]{8})")


def clear_up(store: Store) -> None:
    """Remove it, unless somebody may be at work in the store.

    Checkpoints of runs that failed stay, for `mlbench retry` to go on from; those of runs that completed, diverged or
    collapsed go, and so do the states of parts of trainings: one that is continued after all begins anew, to the same
    result.
    """
    while (lease := store.leases.take(HEADER_LEASE, {})) is None:
        if HEADER_LEASE not in store.leases.wordless():
            return
        time.sleep(_PAUSE)
    try:
        # Looked for before it is asked who is there: what somebody makes who comes later is not among it.
        found = [*_left(store.path), *_states(store)]
        if _alone(store.leases):
            for path in found:
                _remove(path)
            with suppress(OSError):  # not empty
                (store.path / "parts").rmdir()
    finally:
        lease.release()


def _alone(leases: Leases) -> bool:
    """Whether nobody else is there. Whoever has made a lease and not said a word may have been killed just then."""
    while (others := leases.alive() - {HEADER_LEASE}) and others <= leases.wordless():
        time.sleep(_PAUSE)
    return not others


def _left(store: Path) -> Iterator[Path]:
    yield from store.glob("requests/*")
    yield from (path for path in store.glob("leases/*") if path.stem != HEADER_LEASE)
    hidden = chain(store.glob(".*"), store.glob("runs/.*"), store.glob("checkpoints/*/.*"))
    yield from (path for path in hidden if _STAGED.fullmatch(path.name))


def _states(store: Store) -> list[Path]:
    """States that no training will go on from."""
    found = [path for path in store.path.glob("checkpoints/*") if (store.path / "runs" / path.name).exists()]
    found += store.path.glob("parts/*")
    if not found:
        return []
    failed = {store.state(record.request) for record in store.others(()) if record.outcome == "failed"}
    return [path for path in found if path not in failed]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
