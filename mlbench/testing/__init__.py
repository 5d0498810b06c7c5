"""The conformance kit: what a component must do, as checks that any plugin author can run.

One generator of checks behind three doors: ``check_component("losses", "my-plugin/my-loss")`` returns a list of
``Check``, ``@parametrize_with_checks(["my-plugin"])`` makes a test of each, ``mlbench check my-plugin`` prints them.
The module of each kind ends in the tuple ``CHECKS``; to add a check, add a function and its line.
"""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

if TYPE_CHECKING:
    from mlbench.testing.batch import Batch as Batch
    from mlbench.testing.kit import Check as Check
    from mlbench.testing.kit import ConformanceError as ConformanceError
    from mlbench.testing.kit import check_component as check_component
    from mlbench.testing.pytest_plugin import parametrize_with_checks as parametrize_with_checks

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "batch": ("Batch",),
        "kit": ("Check", "ConformanceError", "check_component"),
        "pytest_plugin": ("parametrize_with_checks",),
    },
)
