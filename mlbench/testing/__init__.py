"""The conformance kit: what a component must do, as checks that any plugin author can run.

``check_component("losses", "my-plugin/my-loss")`` returns a list of ``Check``. One table for each kind maps the name of
a check to a small function; to add a check, add a function and its line.
"""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

if TYPE_CHECKING:
    from mlbench.testing.batch import Batch as Batch
    from mlbench.testing.kit import Check as Check
    from mlbench.testing.kit import ConformanceError as ConformanceError
    from mlbench.testing.kit import check_component as check_component

__getattr__, __dir__ = lazy_exports(
    __name__, {"batch": ("Batch",), "kit": ("Check", "ConformanceError", "check_component")}
)
