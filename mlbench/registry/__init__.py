"""Entry points become components: listed without importing anything, loaded one at a time, configured strictly."""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

# Not lazy: the submodule of the same name would hide the function. It imports no component and no pydantic.
from mlbench.registry.entries import KINDS as KINDS
from mlbench.registry.entries import Entry as Entry
from mlbench.registry.entries import entries as entries
from mlbench.registry.entries import find as find

if TYPE_CHECKING:
    from mlbench.registry.component import Resolved as Resolved
    from mlbench.registry.component import configure as configure
    from mlbench.registry.component import resolve as resolve
    from mlbench.registry.loading import info_of as info_of
    from mlbench.registry.loading import load as load
    from mlbench.registry.schema import Parameter as Parameter
    from mlbench.registry.schema import parameters as parameters

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "component": ("Resolved", "configure", "resolve"),
        "loading": ("info_of", "load"),
        "schema": ("Parameter", "parameters"),
    },
)
