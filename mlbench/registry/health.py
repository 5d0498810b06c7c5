"""What is wrong with installed plugins, as far as it can be known without importing them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from itertools import islice
from pathlib import Path

from mlbench.api.errors import PluginError
from mlbench.registry.distributions import HARNESS, Plugin, Problem, canonical
from mlbench.registry.entries import Entry, entries
from mlbench.registry.source import home_of

#: Set to 1, a plugin that cannot be used is an error at the start of every run, whether the run selects it or not.
STRICT = "MLBENCH_STRICT_PLUGINS"

_NAMED = 3  # of the components that share a bare name, in a note


@dataclass(frozen=True)
class Health:
    """A plugin and how it is.

    Attributes:
        plugin: The distribution.
        components: Its components, the unusable ones too.
        problems: What keeps all or some of its components from being used.
        notes: Bare names that it shares with other distributions, which is no fault.
    """

    plugin: Plugin
    components: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def state(self) -> str:
        """In a word or two: ``ok``, or that of its first problem."""
        return self.problems[0].state if self.problems else "ok"

    @property
    def sound(self) -> list[Entry]:
        """The components that nothing is known against: worth importing."""
        return [] if problem_of(self.plugin) else [entry for entry in self.components if not entry.problem]


def health() -> list[Health]:
    """Every plugin that is installed, hidden, switched off or asked for in vain, by name; not the harness itself."""
    by_plugin: dict[int, list[Entry]] = {}
    by_name: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries(usable=False):
        by_plugin.setdefault(id(entry.plugin), []).append(entry)
        if entry.kind and not entry.problem:
            by_name.setdefault((entry.kind, entry.name), []).append(entry)
    found = [_health(own, by_name) for own in by_plugin.values() if own[0].distribution != HARNESS or own[0].problem]
    return sorted(found, key=lambda one: (canonical(one.plugin.name), one.plugin.folder))


def _health(own: list[Entry], by_name: dict[tuple[str, str], list[Entry]]) -> Health:
    plugin = own[0].plugin
    assert plugin is not None
    components = tuple(entry for entry in own if entry.kind)
    problem = problem_of(plugin)
    if problem:
        return Health(plugin, components, (problem,), ())
    notes = []
    for entry in components:
        same = (other.id for other in by_name.get((entry.kind, entry.name), []) if other.plugin is not plugin)
        if others := list(islice(same, _NAMED + 1)):
            names = ", ".join(others[:_NAMED]) + (" and others" if len(others) > _NAMED else "")
            notes.append(f"{entry.kind}: {entry.name!r} is also a name of {names}; write {entry.id}")
    return Health(plugin, components, tuple(dict.fromkeys(e.problem for e in own if e.problem)), tuple(notes))


def refuse_broken() -> None:
    """Where ``MLBENCH_STRICT_PLUGINS=1`` says so, insist that every plugin is in order; importing each one is tried.

    Raises:
        PluginError: Naming all that are not.
    """
    if os.environ.get(STRICT, "0") in ("", "0"):
        return
    from mlbench.registry.probe import probe

    plugins = health()
    known = [(one.plugin, problem) for one in plugins for problem in one.problems if problem.state != "switched off"]
    faults = [f"{plugin.name} {plugin.version}: {problem}" for plugin, problem in known]
    faults += [fault for _, fault in probe([entry for one in plugins for entry in one.sound]) if fault]
    if faults:
        raise PluginError("\n".join([f"{STRICT} is set, and these plugins cannot be used:", *faults]))


def problem_of(plugin: Plugin) -> Problem | None:
    """Why nothing of the plugin can be used: its metadata's problem, code that is gone, or another mlbench needed."""
    if plugin.name == HARNESS and plugin.problem is None:
        return None
    if plugin.problem:
        return plugin.problem
    homes = {module: home_of(module) for module in _one_of_each_package(plugin)}
    return _stale(plugin, homes) or _hidden(plugin, homes) or _other_harness(plugin)


def _stale(plugin: Plugin, homes: Mapping[str, ModuleSpec | None]) -> Problem | None:
    gone = [module for module, home in homes.items() if home is None]
    if not gone:
        return None
    cause = f"it is recorded in {plugin.folder}, but its module {gone[0]!r} is gone"
    return Problem("stale", cause, f"`pip uninstall {plugin.name}`, or install it again")


def _hidden(plugin: Plugin, homes: Mapping[str, ModuleSpec | None]) -> Problem | None:
    """A module that it brings itself is imported from elsewhere, where another distribution has one of that name."""
    for module, home in homes.items():
        top = module.partition(".")[0]
        own = [os.path.join(root, path) for root in plugin.roots for path in (f"{top}/__init__.py", f"{top}.py")]
        if home is None or home.origin is None or home.origin in own:  # as nearly always: no look at the disk
            continue
        files = [Path(file).resolve() for file in own if os.path.isfile(file)]
        if files and Path(home.origin).resolve() not in files:
            cause = f"its module {top!r} is hidden by {home.origin}"
            return Problem("shadowed", cause, "uninstall the package that the other one belongs to")
    return None


def _one_of_each_package(plugin: Plugin) -> list[str]:
    """One module of every package that its entry points name: enough to see whether the package is there."""
    modules = [point.value.partition(":")[0].strip() for point in plugin.points]
    return list({module.partition(".")[0]: module for module in modules}.values())


@cache
def _own_version() -> str:
    return next(entry.version for entry in entries() if entry.distribution == HARNESS)


def _other_harness(plugin: Plugin) -> Problem | None:
    """Its metadata require a harness that this one is not."""
    # A name or a bare `mlbench-dml` needs no parser, and most plugins say no more.
    texts = [text for text in plugin.requires if canonical(text).startswith(HARNESS) and canonical(text) != HARNESS]
    for text in texts:
        if misfit := _misfit(text):
            upgraded = HARNESS if misfit[0] == "too new" else plugin.name
            return Problem(*misfit, f"`pip install --upgrade {upgraded}`")
    return None


@cache
def _misfit(text: str) -> tuple[str, str] | None:
    """What is wrong with this harness for one that requires ``text``, as state and cause."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import Version

    here = _own_version()
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return None
    if canonical(wanted.name) != HARNESS or wanted.specifier.contains(here, prereleases=True):
        return None
    bounds = [Version(bound.version.removesuffix(".*")) for bound in wanted.specifier]
    state = "too new" if any(bound > Version(here) for bound in bounds) else "too old"
    return state, f"it requires {HARNESS}{wanted.specifier}, this is {here}"
