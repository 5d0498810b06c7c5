"""Where every component of a run comes from: for its record, not for its identity."""

import os
import subprocess
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from mlbench.registry.component import NESTED
from mlbench.registry.distributions import HARNESS
from mlbench.registry.entries import Entry, find
from mlbench.registry.source import source_hash
from mlbench.registry.unpackaged import source_of

#: Where a request holds a component, and its kind.
_PARTS = NESTED | {
    "trunk": "models",
    "sampler": "samplers",
    "metrics": "metrics",
    "dataset": "datasets",
    "split": "splits",
    "protocol": "protocols",
}


def provenance_of(request: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row for every component of a request, the nested ones too, in the order they have there.

    ``kind``, ``id``, ``target``; ``distribution`` and ``version``; ``commit`` (of an installation from version control,
    or of the work tree of an editable one) and ``editable``; ``source``, the hash of its package's Python files. A row
    of un-packaged code has ``unpackaged`` instead of a distribution.
    """
    return [_row(entry) for entry in _entries(request)]


def _entries(request: Mapping[str, Any]) -> list[Entry]:
    return [find(kind, identifier) for kind, identifier in dict.fromkeys(_used(request))]


def _used(value: Any, kind: str | None = None) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if kind and isinstance(value.get("id"), str) and "version" in value:
            yield kind, value["id"]
        for name, item in value.items():
            yield from _used(item, _PARTS.get(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _used(item, kind)


def _row(entry: Entry) -> dict[str, str]:
    row = {"kind": entry.kind, "id": entry.id, "target": entry.point.value}
    if entry.plugin is None:
        return row | {"unpackaged": "yes", "source": source_of(entry.module)}
    row |= {"distribution": entry.distribution, "version": entry.version}
    editable = entry.plugin.editable
    commit = entry.plugin.commit or (_head(editable) if editable else None)
    found = {"commit": commit, "editable": "yes" if editable else None, "source": source_hash(entry.module)}
    return row | {name: text for name, text in found.items() if text}


@cache
def _head(folder: str) -> str | None:
    """The commit that a work tree stands at, with ``-dirty`` after changes; None if it is none."""
    # Tracked there: a folder can lie in a work tree that has nothing to do with it.
    if _git(folder, "ls-files", "--error-unmatch", "pyproject.toml") is None:
        return None
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: str, *arguments: str) -> str | None:
    command = ["git", "-C", folder, *arguments]
    try:
        environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
        answer = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def used_plugins(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """The distributions in provenance rows, with their versions and without the harness.

    >>> used_plugins([{"id": "acme/x", "distribution": "acme", "version": "1.2"}, {"id": "mine:X"}])
    ['acme 1.2']
    """
    origins = {(row.get("distribution", HARNESS), row.get("version", "")) for row in rows}
    return sorted(f"{name} {version}" for name, version in origins if name != HARNESS)


def culprits(error: BaseException, request: Mapping[str, Any]) -> str:
    """The components of a request whose own code an error came through, in words, without those of the harness."""
    frames = traceback.walk_tb(error.__traceback__)
    packages = {str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame, _ in frames}
    found = [entry for entry in _entries(request) if entry.module.partition(".")[0] in packages]
    return "; ".join(f"{entry.id}: {entry.origin}" for entry in found if entry.distribution != HARNESS)
