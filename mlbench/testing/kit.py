"""The generator of checks that all doors share, and the door for Python."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from mlbench.api import ConfigError, MlbenchError
from mlbench.testing.known import declaration_of
from mlbench.testing.requirement import NotApplicable, Requirement, Violation
from mlbench.testing.subject import Subject
from mlbench.testing.surroundings import seeded

#: The kinds that have checks; the module ``mlbench.testing.<kind>`` has their tuple ``CHECKS``.
KINDS = ("losses", "miners", "samplers", "datasets", "metrics")


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: Its name.
        status: ``expected failure`` is a failure that was declared with a reason.
        detail: What went wrong, the declared reason, or why the check does not apply.
        demand: What a component must do.
        fix: What usually mends it.
    """

    name: str
    status: Literal["passed", "failed", "expected failure", "not applicable"]
    detail: str = ""
    demand: str = ""
    fix: str = ""


class ConformanceError(MlbenchError):
    """A component that failed a check."""


@dataclass(frozen=True)
class Case:
    """One check of one component, not yet run."""

    subject: Subject
    requirement: Requirement
    expected_failures: Mapping[str, str]

    def run(self) -> Check:
        """The outcome.

        Raises:
            MlbenchError: If the component cannot be found, imported or configured.
        """
        declared = {**declaration_of(self.subject.resolved.component).expected_failures, **self.expected_failures}
        reason = declared.get(self.requirement.name)
        status, detail = self._try()
        if reason is not None and status == "failed":
            return self._check("expected failure", reason)
        if reason is not None:
            outcome = "passes" if status == "passed" else f"does not apply ({detail})"
            return self._check("failed", f"declared to fail ({reason}), but {outcome}; remove the declaration")
        return self._check(status, detail)

    def _try(self) -> tuple[Literal["passed", "failed", "not applicable"], str]:
        try:
            with seeded(0):
                self.requirement.function(self.subject)
        except NotApplicable as reason:
            return "not applicable", str(reason)
        except Violation as violation:
            return "failed", str(violation)
        except Exception as error:  # a component may raise anything; that is an outcome, not an error of the kit
            return "failed", f"{type(error).__name__}: {error}"
        return "passed", ""

    def _check(self, status: Any, detail: str) -> Check:
        return Check(self.requirement.name, status, detail, self.requirement.demand, self.requirement.fix)


def requirements(kind: str) -> Mapping[str, Requirement]:
    """The checks of a kind, by name.

    Raises:
        ConfigError: If there are none.
    """
    if kind not in KINDS:
        raise ConfigError(f"there are no checks for {kind!r}, only for {', '.join(KINDS)}")
    checks: tuple[Requirement, ...] = import_module(f"mlbench.testing.{kind}").CHECKS
    return {check.name: check for check in checks}


def cases(
    kind: str,
    component: str | type[Any],
    arguments: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Iterator[Case]:
    """Every check of a component. Imports neither the component nor its package before one is run.

    Raises:
        ConfigError: If there are no checks for the kind, or an expected failure names no check.
    """
    checks, expected = requirements(kind), dict(expected_failures or {})
    subject = Subject(kind, component, dict(arguments or {}))
    _must_exist(expected, checks)
    return (Case(subject, check, expected) for check in checks.values())


def check_component(
    kind: str,
    component: str | type[Any],
    arguments: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
    raise_on_failure: bool = False,
) -> list[Check]:
    """Run every check of a component.

    Args:
        kind: ``losses``, ``miners``, ``samplers``, ``datasets`` or ``metrics``.
        component: An id as in a benchmark file, or a class, which need not be registered.
        arguments: Of its constructor, as in a benchmark file; they go before ``info.example``.
        expected_failures: The reason of every failure that is meant to be, by the name of the check, beside those in
            ``info.expected_failures``. One that passes nevertheless, or does not apply, counts as failed, so that
            declarations do not outlive their reason.
        raise_on_failure: Raise instead of returning where a check failed.

    Raises:
        ConfigError: If there are no checks for the kind, or an expected failure names no check, or the component
            refuses its arguments.
        UnknownNameError: If there is no such component.
        PluginError: If it cannot be imported or built.
        ConformanceError: With all failures, if ``raise_on_failure`` and a check failed.
    """
    tried = list(cases(kind, component, arguments, expected_failures))
    subject = tried[0].subject
    _must_exist(declaration_of(subject.resolved.component).expected_failures, requirements(kind))
    subject.build()  # what cannot even be built would fail every check with the same words
    report = [case.run() for case in tried]
    failed = [f"{check.name}: {check.detail}" for check in report if check.status == "failed"]
    if failed and raise_on_failure:
        raise ConformanceError(f"{subject.resolved.entry.id} fails {len(failed)} checks\n" + "\n".join(failed))
    return report


def _must_exist(expected: Mapping[str, str], checks: Mapping[str, Requirement]) -> None:
    for name, reason in expected.items():
        if name not in checks:
            raise ConfigError(f"expected failure of unknown check {name!r}; there are: {', '.join(checks)}")
        if not reason:
            raise ConfigError(f"expected failure of {name} has no reason; say why it must fail")
