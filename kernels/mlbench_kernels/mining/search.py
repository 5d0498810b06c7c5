"""What all mining operators share: their first arguments, and the problem that these describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, get_type_hints

import torch
from torch import Tensor

from ..engine import Problem, run_rule
from ..operators import operator
from ..rules.rule import Rule
from .arguments import Arguments, make_problem


@dataclass(frozen=True)
class Search:
    """A problem, and the backend and mode that solve it."""

    problem: Problem
    backend: str
    precision: str

    @classmethod
    def of(cls, arguments: Arguments) -> Search:
        """The search that checked arguments ask for.

        Raises:
            ValueError: names the first row that is not finite.
        """
        return cls(make_problem(*arguments[:5]), arguments.backend, arguments.precision)

    def run(self, rule: Rule) -> tuple[Tensor, ...]:
        """The rule's outputs, `[N]` or `[N, width]` each."""
        return run_rule(rule, self.problem, self.backend, self.precision)


def mining_operator(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of a `Search` and annotated options as an operator of `Arguments` and these options."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*values: Any) -> Any:
            count = len(Arguments._fields)
            return function(Search.of(Arguments(*values[:count])), *values[count:])

        hints = get_type_hints(Arguments).items()
        first = [Parameter(field, Parameter.POSITIONAL_OR_KEYWORD, annotation=hint) for field, hint in hints]
        own = signature(function, eval_str=True)
        run.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[*first, *list(own.parameters.values())[1:]]
        )
        return operator(name)(run)

    return register


def empty_picks(anchors: Tensor, *shape: int | torch.SymInt) -> tuple[Tensor, Tensor]:
    """Indices and distances of picks `shape`, as an operator's fake returns them."""
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    return anchors.new_empty(shape, dtype=torch.int64), anchors.new_empty(shape, dtype=dtype)
