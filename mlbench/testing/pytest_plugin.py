"""The door for pytest: a decorator that turns every check of some components into a test of its own, `perf_guard`.

Loaded by every pytest of an environment with mlbench, so it imports nothing else before one of them is met.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from mlbench.perf import PerfGuard
    from mlbench.testing.kit import Case

#: A name as for ``mlbench check``, or the arguments ``(kind, id or class)`` or ``(kind, id or class, arguments)``.
Component: TypeAlias = str | tuple[str, str | type[Any]] | tuple[str, str | type[Any], Mapping[str, Any]]

_MARK = "mlbench_checks"


def parametrize_with_checks(components: Iterable[Component]) -> pytest.MarkDecorator:
    """Run the decorated test once for every check of every component; the test calls its argument ``check``.

    Expected failures are declared in ``info.expected_failures``; the test of such a check is an xfail with its reason,
    and fails if the check passes. A check that does not apply is skipped with its reason.

    Args:
        components: Names as for ``mlbench check`` (an id, a distribution, ...), or tuples ``(kind, id or class)`` or
            ``(kind, id or class, arguments)``.

    Examples::

        @parametrize_with_checks(["acme-losses", ("losses", MyLoss, {"margin": 0.1})])
        def test_conforms(check):
            check()
    """
    mark: pytest.MarkDecorator = getattr(pytest.mark, _MARK)(tuple(components))
    return mark


@pytest.fixture
def perf_guard() -> "PerfGuard":
    """Bounds on ratios of times, on peak memory and on growth: see `mlbench.perf.PerfGuard`."""
    from mlbench.perf import PerfGuard

    return PerfGuard()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, for ``--strict-markers``."""
    config.addinivalue_line("markers", f"{_MARK}(components): run once for every check of mlbench's conformance kit")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of every check of the components in the mark."""
    for mark in metafunc.definition.iter_markers(_MARK):
        from mlbench.api import MlbenchError

        try:
            found = [case for component in mark.args[0] for case in _cases(component)]
        except MlbenchError as error:
            raise pytest.Collector.CollectError(str(error)) from None
        names = [f"{case.subject.kind}/{case.subject.name}:{case.requirement.name}" for case in found]
        metafunc.parametrize("check", [partial(_test, case) for case in found], ids=names)


def _cases(component: Component) -> Iterable["Case"]:
    from mlbench.testing.kit import KINDS, cases
    from mlbench.testing.selection import select

    if not isinstance(component, str):
        return cases(*component)
    chosen = [entry for entry in select(component) if entry.kind in KINDS]
    return [case for entry in chosen for case in cases(entry.kind, entry.id)]


def _test(case: "Case") -> None:
    __tracebackhide__ = True
    found = case.run()
    if found.status == "failed":
        pytest.fail(f"{found.detail}\n  must: {found.demand}\n  fix:  {found.fix}", pytrace=False)
    if found.status == "expected failure":
        pytest.xfail(found.detail)
    if found.status == "not applicable":
        pytest.skip(found.detail)
