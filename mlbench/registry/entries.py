"""The catalogue: every entry point of every installed distribution, without importing any of them."""

import difflib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint

from mlbench.api.errors import UnknownNameError
from mlbench.api.info import API_VERSIONS
from mlbench.registry.distributions import HARNESS, Plugin, Problem, canonical, scan
from mlbench.registry.unpackaged import is_unpackaged, refuse_missing

#: The kinds of component; the entry-point group of a kind is ``mlbench.<kind>``.
KINDS = tuple(API_VERSIONS)


@dataclass(frozen=True)
class Entry:
    """Where a component comes from: one entry point, or un-packaged code, which has no distribution.

    Attributes:
        problem: Why it cannot be used, as far as metadata tell.
    """

    kind: str
    name: str
    distribution: str
    version: str
    point: EntryPoint
    plugin: Plugin | None = None
    problem: Problem | None = None

    @property
    def id(self) -> str:
        """``distribution/name``, or ``module:Class`` of un-packaged code."""
        return f"{self.plugin.namespace}/{self.name}" if self.plugin else self.name

    @property
    def module(self) -> str:
        """The module that its class is in."""
        return self.point.value.partition(":")[0].strip()

    @property
    def origin(self) -> str:
        """Entry point, distribution and version in words, for error messages."""
        if self.plugin is None:
            return f"un-packaged {self.point.value!r}"
        return f"entry point {self.name!r} = {self.point.value!r} of {self.distribution} {self.version}"

    @property
    def listed(self) -> str:
        """Id, distribution and version, for a list of candidates."""
        return f"{self.id} ({self.distribution} {self.version})"


@cache
def entries(kind: str = "", *, usable: bool = True) -> tuple[Entry, ...]:
    """All entries of a kind, or of every kind, sorted by id. ``kind`` is one of ``KINDS``.

    Args:
        kind: The kind.
        usable: Leave out what cannot be used.
    """
    if not kind and not usable:
        return tuple(sorted(_read(), key=lambda entry: (entry.id, entry.point.value)))
    everything = entries(usable=False)
    return tuple(e for e in everything if kind in ("", e.kind) and not (usable and e.problem))


def _read() -> list[Entry]:
    found = []
    for plugin in scan():
        targets = {(point.group, point.name, point.value): point for point in plugin.points}
        claims = Counter((group, name) for group, name, _ in targets)
        for (group, name, _), point in targets.items():
            kind = group.removeprefix("mlbench.")
            problem = plugin.problem or (None if kind in KINDS else _unknown_group(plugin, group))
            problem = problem or (_claimed_twice(plugin, name) if claims[group, name] > 1 else None)
            found.append(Entry(kind, name, plugin.name, plugin.version, point, plugin, problem))
        if not targets:  # it could not be read, or is not there: nameless, but not forgotten
            found.append(Entry("", "", plugin.name, plugin.version, EntryPoint("", "", ""), plugin, plugin.problem))
    return found


def _unknown_group(plugin: Plugin, group: str) -> Problem:
    near = difflib.get_close_matches(group, [f"mlbench.{kind}" for kind in KINDS], n=1)
    cause = f"{plugin.name} {plugin.version} has the entry-point group {group!r}, which this mlbench does not know"
    return Problem("broken", cause, f"correct it{f' to {near[0]}' if near else ''}, or upgrade {HARNESS}")


def _claimed_twice(plugin: Plugin, name: str) -> Problem:
    cause = f"{plugin.name} {plugin.version} gives the name {name!r} to several classes"
    return Problem("clashing", cause, "tell its authors, or install another version")


def find(kind: str, name: str, where: str = "") -> Entry:
    """The entry that ``name`` means.

    A full id, or a bare name: the harness's component of that name if it has one, else the only one there is. Or
    ``module:Class`` for un-packaged code. An entry that cannot be used is found too; `load` says why.

    Raises:
        UnknownNameError: If there is none (with the nearest names) or several (with all candidates).
    """
    if is_unpackaged(name):
        refuse_missing(name, where)
        return Entry(kind, name, "", "", EntryPoint(name, name, f"mlbench.{kind}"))
    known = entries(kind, usable=False)
    # The full id first: an entry point may be called what is another one's id, and must not make that one ambiguous.
    matches = [entry for entry in known if name == entry.id] or [entry for entry in known if name == entry.name]
    candidates = _candidates(matches)
    if len(candidates) == 1:
        return candidates[0]
    place = f"{where}: " if where else ""
    if candidates:
        listed = ", ".join(entry.listed for entry in candidates)
        raise UnknownNameError(f"{place}{name!r} is ambiguous: {listed}; write the full id", name)
    singular = {"losses": "loss"}.get(kind, kind.removesuffix("s"))
    raise UnknownNameError(f"{place}unknown {singular} {name!r}; {_hint(kind, name)}", name)


def _candidates(matches: list[Entry]) -> list[Entry]:
    """One entry for every id: one that can be used before one that cannot."""
    by_id: dict[str, Entry] = {}
    for entry in sorted(matches, key=lambda entry: entry.problem is not None):
        by_id.setdefault(entry.id, entry)
    found = [e for e in by_id.values() if not e.problem or e.problem.state != "switched off"] or list(by_id.values())
    # No plugin can take a bare name from the harness: files that use it keep their meaning whatever is installed.
    return [entry for entry in found if entry.distribution == HARNESS] or found


def _hint(kind: str, name: str) -> str:
    """What to do about a name that nothing has: install its package, or correct it."""
    known = entries(kind)
    near = difflib.get_close_matches(name.lower(), [e.id for e in known] + [e.name for e in known], n=3)
    listed = sorted({entry.listed for entry in known if entry.id in near or entry.name in near})
    hint = f"did you mean {' or '.join(listed)}?" if listed else f"`mlbench ls {kind}` shows all {len(known)}"
    distribution, slash, _ = name.partition("/")
    here = {canonical(entry.distribution) for entry in entries(usable=False)} | {"mlbench"}
    if slash and canonical(distribution) not in here:
        return f"no plugin {distribution!r} is installed (`pip install {distribution}`); {hint}"
    if slash and distribution != "mlbench":
        return f"{distribution} is installed without it; after a change of its entry points install it again; {hint}"
    return hint
