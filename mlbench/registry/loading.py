"""From an entry to its class: the only place where a component's code is imported."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from mlbench.api.errors import MlbenchError, PluginError
from mlbench.api.info import API_VERSIONS, ComponentInfo
from mlbench.registry.distributions import HARNESS
from mlbench.registry.entries import Entry
from mlbench.registry.health import problem_of


def load(entry: Entry) -> type[Any]:
    """Import the class that ``entry`` names. What it prints meanwhile goes to standard error.

    Raises:
        PluginError: If its metadata say that it cannot be used, if the import fails in any way (``sys.exit``
            included), or if it was made for another version of the plugin API. The cause is chained.
    """
    problem = entry.problem or (problem_of(entry.plugin) if entry.plugin else None)
    if problem:
        raise PluginError(f"{entry.id}: {problem} ({entry.origin})")
    try:
        with redirect_stdout(sys.stderr):
            loaded: type[Any] = entry.point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything at import, SystemExit included
        remedy = "Reinstall or remove that package" if entry.plugin else "Mend it"
        raise PluginError(
            f"{entry.id}: cannot be imported ({type(error).__name__}: {error}); {entry.origin}. "
            f"{remedy}; nothing else is affected"
        ) from error
    if not isinstance(loaded, type):
        raise PluginError(f"{entry.id}: a component is a class, this is a {type(loaded).__name__}; {entry.origin}")
    _shake_hands(entry, info_of(loaded).api)
    return loaded


def _shake_hands(entry: Entry, wanted: int) -> None:
    """Refuse a component that was made for another contract of its kind."""
    offered = API_VERSIONS[entry.kind]
    if wanted == offered:
        return
    side = HARNESS if wanted > offered else entry.distribution or entry.name
    raise PluginError(
        f"{entry.id}: too {'new' if wanted > offered else 'old'}: made for version {wanted} of the plugin API of "
        f"{entry.kind}, this mlbench has {offered}; upgrade: `pip install --upgrade {side}` ({entry.origin})"
    )


def info_of(component: type[Any]) -> ComponentInfo:
    """The component's declaration; one is derived from the docstring where it declares none."""
    info = getattr(component, "info", None)
    if isinstance(info, ComponentInfo):
        return info
    summary = (component.__doc__ or "").strip().split("\n", 1)[0]
    return ComponentInfo(summary=summary)


@contextmanager
def blamed(entry: Entry, where: str, doing: str) -> Iterator[None]:
    """Turn what a component's code raises into a `PluginError` that names entry point, distribution and version.

    Raises:
        PluginError: The cause is chained.
    """
    try:
        yield
    except MlbenchError:
        raise
    except Exception as error:
        raise PluginError(f"{where}: {entry.id} {doing} ({type(error).__name__}: {error}); {entry.origin}") from error
