"""Installed distributions that bring components, and what their metadata alone says is wrong with them."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from urllib.parse import unquote

from mlbench.registry.source import home_of

#: The distribution of the harness itself. Its components are ``mlbench/name``.
HARNESS = "mlbench-dml"
_NAMESPACE = "mlbench"
#: An allow-list of distributions, separated by commas: no other plugin exists. Empty: none at all.
SWITCH = "MLBENCH_PLUGINS"

_HEADER = re.compile(r"^(Name|Version|Requires-Dist): *(.+?) *$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """Why something of a plugin cannot be used.

    Attributes:
        state: In a word or two: ``broken``, ``clashing``, ``too new``, ``too old``, ``stale``, ``shadowed``,
            ``switched off`` or ``missing``.
        cause: What is wrong.
        remedy: What the user can do about it.
    """

    state: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.state}: {self.cause}; {self.remedy}"


@dataclass(frozen=True)
class Plugin:
    """A distribution with entry points in our groups; ``problem`` keeps all of them from being used.

    Attributes:
        name: As its metadata spell it.
        version: Its version.
        folder: Where its metadata are.
        points: Its entry points in our groups.
        requires: What it requires, as in its metadata.
        editable: The folder that an editable installation points to.
        commit: The commit that was installed from version control.
    """

    name: str
    version: str
    folder: str
    points: tuple[EntryPoint, ...]
    requires: tuple[str, ...] = ()
    editable: str | None = None
    commit: str | None = None
    problem: Problem | None = None

    @property
    def roots(self) -> list[str]:
        """The folders where its code may be."""
        return [self.folder, *([self.editable] if self.editable else [])]

    @property
    def namespace(self) -> str:
        """What its ids begin with."""
        return _NAMESPACE if self.name == HARNESS else self.name


@cache
def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it.

    >>> canonical("Acme_Losses")
    'acme-losses'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def scan() -> list[Plugin]:
    """Every distribution on the path with components, the harness too. Reads metadata, imports nothing of theirs."""
    same: dict[str, list[Plugin]] = {}
    for plugin in filter(None, map(_read, distributions())):
        group = same.setdefault(canonical(plugin.name), [])
        if plugin not in group:  # a folder can be on the path twice
            group.append(plugin)
    plugins = [plugin for group in same.values() for plugin in _order(group)]
    return [*map(_checked, plugins), *_missing(same)]


def _read(distribution: Distribution) -> Plugin | None:
    """The distribution as a plugin; None if it has nothing for us."""
    problem = None
    points: tuple[EntryPoint, ...] = ()
    try:
        if "[mlbench." not in (distribution.read_text("entry_points.txt") or ""):
            return None
        points = tuple(point for point in distribution.entry_points if point.group.startswith("mlbench."))
    except Exception:  # not text, or a line that is no entry point
        problem = _UNREADABLE
    headers = _headers(distribution)
    name, version = dict(headers).get("name", ""), dict(headers).get("version", "")
    requires = tuple(value for header, value in headers if header == "requires-dist")
    folder, (editable, commit) = os.path.realpath(str(distribution.locate_file(""))), _origin(distribution)
    if not name or not version:
        name, problem = name or f"(a package without a name in {folder})", _UNREADABLE
    return Plugin(name, version, folder, points, requires, editable, commit, problem)


def _headers(distribution: Distribution) -> list[tuple[str, str]]:
    try:
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    except (OSError, UnicodeDecodeError):
        return []
    return [(name.lower(), value) for name, value in _HEADER.findall(text.partition("\n\n")[0])]


_UNREADABLE = Problem("broken", "its metadata cannot be read", "reinstall it")


def _origin(distribution: Distribution) -> tuple[str | None, str | None]:
    """What its installer wrote down: the folder of an editable installation, the commit of one from version control."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        editable = origin.get("dir_info", {}).get("editable")
        commit = origin.get("vcs_info", {}).get("commit_id")
        folder = os.path.realpath(unquote(origin["url"].removeprefix("file://"))) if editable else None
    except (OSError, ValueError, AttributeError, KeyError):
        return None, None
    return folder, commit if isinstance(commit, str) else None


def _order(group: list[Plugin]) -> list[Plugin]:
    """Of distributions of one name, the one that counts, then those that it hides."""
    if len(group) == 1:
        return group
    # The harness is the one that runs, whoever else claims to be it; for others Python's own order decides.
    running = [plugin for plugin in group if plugin.name == HARNESS and _is_running(plugin)]
    first = (running or group)[0]
    hidden = [plugin for plugin in group if plugin is not first]
    if not running and not (_holds_its_code(first) and all(other.folder != first.folder for other in hidden)):
        others = " and ".join(f"{other.version} in {other.folder}" for other in hidden)
        cause = f"its code may not be what its metadata in {first.folder} describe, there is also {others}"
        first = replace(first, problem=Problem("shadowed", cause, _reinstall(first)))
    cause = f"hidden by {first.name} {first.version} in {first.folder}"
    return [first, *(replace(plugin, problem=Problem("shadowed", cause, _reinstall(plugin))) for plugin in hidden)]


def _reinstall(plugin: Plugin) -> str:
    return f"`pip uninstall {plugin.name}` until none is left, then install it once"


def _holds_its_code(plugin: Plugin) -> bool:
    """Whether the modules that it names are beside its metadata, or where an editable installation has them."""
    for point in plugin.points:
        home = home_of(point.value.partition(":")[0])
        if home is None or home.origin is None:
            return False
        if not any(Path(home.origin).resolve().is_relative_to(root) for root in plugin.roots):
            return False
    return True


def _is_running(plugin: Plugin) -> bool:
    return str(Path(__file__).resolve().parents[2]) in plugin.roots


def _checked(plugin: Plugin) -> Plugin:
    """With the problem of a name that is not its own, or of the switch."""
    if plugin.problem or plugin.name == HARNESS:
        return plugin
    if canonical(plugin.name) in (_NAMESPACE, HARNESS):
        cause = f"its components would be called {_NAMESPACE}/..., as those of the harness"
        return replace(plugin, problem=Problem("clashing", cause, f"`pip uninstall {plugin.name}`"))
    allowed = _allowed()
    if allowed is not None and canonical(plugin.name) not in allowed:
        cause = f"{SWITCH}={os.environ[SWITCH]} does not name it"
        return replace(plugin, problem=Problem("switched off", cause, f"add it to {SWITCH}, or leave out --no-plugins"))
    return plugin


def _missing(found: Iterable[str]) -> list[Plugin]:
    """What the switch names and is not there."""
    absent = sorted((_allowed() or set()) - set(found))
    problem = Problem("missing", f"{SWITCH} names it, but it is not installed", "`pip install` it, or correct the name")
    return [Plugin(name, "", "", (), problem=problem) for name in absent]


def _allowed() -> set[str] | None:
    value = os.environ.get(SWITCH)
    return None if value is None else {canonical(name.strip()) for name in value.split(",") if name.strip()}
