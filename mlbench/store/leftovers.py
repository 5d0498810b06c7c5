"""What killed processes leave in a store: half-written files, leases, checkpoints of runs that were committed."""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from mlbench.store.store import HEADER_LEASE, Store

#: Names of what `mlbench.store.atomic` renames when it is complete, or removes.
_STAGED = re.compile(r"\.(.+\.\d+\.[0-9a-f]{8}|(staging|probe)-.*[0-9a-f]{8})")


def clear_up(store: Store) -> None:
    """Remove it, unless somebody may be at work in the store.

    The states of parts of trainings go too: a training that is continued after all begins anew, to the same result.
    """
    if (lease := store.leases.take(HEADER_LEASE, {})) is None:
        return
    try:
        # Looked for before it is asked who is there: what somebody makes who comes later is not among it.
        found = list(_left(store.path))
        if store.leases.alive() == {HEADER_LEASE}:
            for path in found:
                _remove(path)
    finally:
        lease.release()


def _left(store: Path) -> Iterator[Path]:
    yield from chain(store.glob("requests/*"), store.glob("parts"))
    yield from (path for path in store.glob("leases/*") if path.stem != HEADER_LEASE)
    yield from (path for path in store.glob("checkpoints/*") if (store / "runs" / path.name).exists())
    hidden = chain(store.glob(".*"), store.glob("runs/.*"), store.glob("checkpoints/*/.*"))
    yield from (path for path in hidden if _STAGED.fullmatch(path.name))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
