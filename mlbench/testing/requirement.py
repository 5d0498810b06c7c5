"""What a check is: a demand, a function that tries it, and what to do where it fails."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlbench.testing.subject import Subject


class NotApplicable(Exception):
    """Raised by a check that has nothing to say about a component."""


class Violation(Exception):
    """Raised by a check whose demand is not met. Not an ``assert``: ``python -O`` must not make components sound."""


def require(holds: object, message: str) -> None:
    """Raise :class:`Violation` with ``message`` unless ``holds``."""
    if not holds:
        raise Violation(message)


@dataclass(frozen=True)
class Requirement:
    """One check of a kind of component.

    Attributes:
        name: As in reports and in declarations of expected failures.
        demand: What a component must do, in one sentence.
        fix: What usually mends it.
        function: Tries it, and raises if the demand is not met.
    """

    name: str
    demand: str
    fix: str
    function: Callable[["Subject"], None]


def requirement(fix: str) -> Callable[[Callable[["Subject"], None]], Requirement]:
    """Turn a function into a check: its name, with hyphens, is the check's; its docstring is the demand."""

    def make(function: Callable[["Subject"], None]) -> Requirement:
        demand = " ".join((function.__doc__ or "").split())
        return Requirement(function.__name__.replace("_", "-"), demand, fix, function)

    return make
