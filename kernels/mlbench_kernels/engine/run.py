"""Run a rule on a problem with a backend."""

from __future__ import annotations

from torch import Tensor

from ..precision import ieee_float32
from ..rules.rule import Rule
from .blocked import run_blocked
from .problem import Problem
from .reference import run_reference


def run_rule(rule: Rule, problem: Problem, backend: str) -> tuple[Tensor, ...]:
    """The rule's result for every anchor, int64 `[N]` each, by "reference", "blocked" or "triton"."""
    if backend == "reference":
        return run_reference(rule, problem)
    with ieee_float32():
        if backend == "blocked":
            return run_blocked(rule, problem)
        from .triton import run_triton  # only here: nothing imports Triton before it is asked for

        return run_triton(rule, problem)
