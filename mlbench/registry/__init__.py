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
    from mlbench.registry.component import component_identity as component_identity
    from mlbench.registry.component import configure as configure
    from mlbench.registry.component import resolve as resolve
    from mlbench.registry.health import refuse_broken as refuse_broken
    from mlbench.registry.loading import blamed as blamed
    from mlbench.registry.loading import info_of as info_of
    from mlbench.registry.loading import load as load
    from mlbench.registry.provenance import culprits as culprits
    from mlbench.registry.provenance import provenance_of as provenance_of
    from mlbench.registry.provenance import used_plugins as used_plugins
    from mlbench.registry.requirements import check_requirements as check_requirements
    from mlbench.registry.schema import Parameter as Parameter
    from mlbench.registry.schema import parameters as parameters
    from mlbench.registry.unpackaged import source_of as source_of
    from mlbench.registry.unpackaged import sources_in as sources_in
    from mlbench.registry.unpackaged import use_file as use_file
    from mlbench.registry.unpackaged import used_files as used_files

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "component": ("Resolved", "component_identity", "configure", "resolve"),
        "health": ("refuse_broken",),
        "loading": ("blamed", "info_of", "load"),
        "provenance": ("culprits", "provenance_of", "used_plugins"),
        "requirements": ("check_requirements",),
        "schema": ("Parameter", "parameters"),
        "unpackaged": ("source_of", "sources_in", "use_file", "used_files"),
    },
)
