"""From an entry to its class: the only place where a component's code is imported."""

from typing import Any

from mlbench.api.errors import PluginError
from mlbench.api.info import API_VERSION, ComponentInfo
from mlbench.registry.entries import Entry


def load(entry: Entry) -> type[Any]:
    """Import the class that ``entry`` names.

    Raises:
        PluginError: If the import fails in any way (``sys.exit`` included), or the component asks for another version
            of the plugin API. The cause is chained.
    """
    try:
        loaded: type[Any] = entry.point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything at import, SystemExit included
        raise PluginError(
            f"{entry.id}: cannot be imported ({type(error).__name__}: {error}); {entry.origin}. "
            f"Reinstall or remove that package; nothing else is affected"
        ) from error
    if not isinstance(loaded, type):
        raise PluginError(f"{entry.id}: a component is a class, this is a {type(loaded).__name__}; {entry.origin}")
    wanted = info_of(loaded).api
    if wanted != API_VERSION:
        side = "mlbench" if wanted > API_VERSION else entry.distribution
        raise PluginError(
            f"{entry.id}: written for plugin API {wanted}, this mlbench has {API_VERSION}; "
            f"upgrade {side} ({entry.origin})"
        )
    return loaded


def info_of(component: type[Any]) -> ComponentInfo:
    """The component's declaration; one is derived from the docstring where it declares none."""
    info = getattr(component, "info", None)
    if isinstance(info, ComponentInfo):
        return info
    summary = (component.__doc__ or "").strip().split("\n", 1)[0]
    return ComponentInfo(summary=summary)
