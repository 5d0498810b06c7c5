"""The catalogue: every entry point of every installed distribution, without importing any of them."""

import difflib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mlbench.api.errors import UnknownNameError

#: The kinds of component; the entry-point group of a kind is ``mlbench.<kind>``.
KINDS = (
    "losses",
    "miners",
    "distances",
    "reducers",
    "regularizers",
    "samplers",
    "datasets",
    "models",
    "metrics",
    "protocols",
)

#: Components of the harness itself are ``mlbench/name``, whatever its distribution is called.
_NAMESPACES = {"mlbench-dml": "mlbench"}


@dataclass(frozen=True)
class Entry:
    """One entry point: where a component comes from."""

    kind: str
    name: str
    distribution: str
    version: str
    point: EntryPoint

    @property
    def id(self) -> str:
        """``distribution/name``."""
        return f"{_NAMESPACES.get(self.distribution, self.distribution)}/{self.name}"

    @property
    def origin(self) -> str:
        """Entry point, distribution and version in words, for error messages."""
        return f"entry point {self.name!r} = {self.point.value!r} of {self.distribution} {self.version}"


@cache
def entries(kind: str) -> tuple[Entry, ...]:
    """All entries of a kind, sorted by id. ``kind`` is one of ``KINDS``."""
    found = []
    for point in entry_points(group=f"mlbench.{kind}"):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "0")
        found.append(Entry(kind, point.name, distribution, version, point))
    return tuple(sorted(found, key=lambda entry: (entry.id, entry.point.value)))


def find(kind: str, name: str, where: str = "") -> Entry:
    """The entry that ``name`` means: a full id, or a bare name while it is unique.

    Raises:
        UnknownNameError: If there is none (with the nearest names) or several (with all candidates).
    """
    known = entries(kind)
    # The full id first: an entry point may be called what is another one's id, and must not make that one ambiguous.
    matches = [entry for entry in known if name == entry.id] or [entry for entry in known if name == entry.name]
    if len(matches) == 1:
        return matches[0]
    place = f"{where}: " if where else ""
    singular = {"losses": "loss"}.get(kind, kind.removesuffix("s"))
    if matches:
        candidates = ", ".join(f"{entry.id} ({entry.distribution} {entry.version})" for entry in matches)
        raise UnknownNameError(f"{place}{name!r} is ambiguous: {candidates}; write the full id")
    near = difflib.get_close_matches(name.lower(), [entry.id for entry in known] + [entry.name for entry in known], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"`mlbench ls {kind}` shows all {len(known)}"
    raise UnknownNameError(f"{place}unknown {singular} {name!r}; {hint}")
