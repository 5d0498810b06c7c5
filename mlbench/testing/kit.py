"""Run every check of a component's kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

from mlbench.api import ConfigError, MlbenchError
from mlbench.registry import resolve
from mlbench.testing.subject import NotApplicable, Subject, seeded

#: The kinds that have checks, and the module with their table ``CHECKS``.
_TABLES = {"losses": "mlbench.testing.losses", "miners": "mlbench.testing.miners"}
_Function: TypeAlias = Callable[[Subject], None]


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: Its name in the table of the kind.
        status: ``expected failure`` is a failure that was declared with a reason.
        detail: What went wrong, or the declared reason.
    """

    name: str
    status: Literal["passed", "failed", "expected failure"]
    detail: str = ""


class ConformanceError(MlbenchError):
    """A component that failed a check."""


def check_component(
    kind: str,
    component_id: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
    raise_on_failure: bool = False,
) -> list[Check]:
    """Check a component; checks that do not apply to it are left out.

    Args:
        kind: ``losses`` or ``miners``.
        component_id: As in a benchmark file.
        arguments: Of its constructor, as in a benchmark file.
        expected_failures: The reason of every failure that is meant to be, by the name of the check. One that passes
            nevertheless counts as failed, so that declarations do not outlive their reason.
        raise_on_failure: Raise instead of returning where a check failed.

    Raises:
        ConfigError: If there are no checks for the kind, or an expected failure names no check.
        UnknownNameError: If there is no such component.
        ConformanceError: With all failures, if ``raise_on_failure`` and a check failed.
    """
    checks, expected = _checks_of(kind), dict(expected_failures or {})
    unknown = sorted(set(expected) - set(checks))
    if unknown:
        raise ConfigError(f"expected failure of unknown check {unknown[0]!r}; there are: {', '.join(checks)}")
    subject = Subject(resolve(kind, {"id": component_id, **(arguments or {})}, component_id))
    outcomes = [_run(name, function, subject, expected.get(name)) for name, function in checks.items()]
    report = [outcome for outcome in outcomes if outcome is not None]
    failed = [f"{check.name}: {check.detail}" for check in report if check.status == "failed"]
    if failed and raise_on_failure:
        raise ConformanceError(f"{subject.resolved.entry.id} fails {len(failed)} checks\n" + "\n".join(failed))
    return report


def _checks_of(kind: str) -> Mapping[str, _Function]:
    if kind not in _TABLES:
        raise ConfigError(f"there are no checks for {kind!r}, only for {', '.join(_TABLES)}")
    table: Mapping[str, _Function] = import_module(_TABLES[kind]).CHECKS
    return table


def _run(name: str, function: _Function, subject: Subject, reason: str | None) -> Check | None:
    """The outcome of one check, or None where it does not apply."""
    try:
        with seeded(0):
            function(subject)
    except NotApplicable:
        if reason is None:
            return None
        return Check(name, "failed", f"declared to fail ({reason}), but does not apply; remove the declaration")
    except Exception as error:  # a component may raise anything; that is an outcome, not an error of the kit
        detail = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        return Check(name, "failed", detail) if reason is None else Check(name, "expected failure", reason)
    if reason is not None:
        return Check(name, "failed", f"declared to fail ({reason}), but passes; remove the declaration")
    return Check(name, "passed")
