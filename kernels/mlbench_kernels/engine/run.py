"""Run a rule on a problem with a backend."""

from __future__ import annotations

import torch
from torch import Tensor

from ..precision import choose_precision, ieee_float32
from ..rules.rule import Rule
from ..usage import note_backend
from .blocked import run_blocked
from .problem import Problem
from .reference import run_reference


@torch.no_grad()
def run_rule(rule: Rule, problem: Problem, backend: str, precision: str = "auto") -> tuple[Tensor, ...]:
    """The outputs of `rule` for every anchor, `[N]` or `[N, width]` each.

    Args:
        rule: what to keep of an anchor's references.
        problem: anchors and references.
        backend: "reference", "blocked" or "triton".
        precision: how Triton multiplies, see `mlbench_kernels.precision`.

    Raises:
        ValueError: for a mode that the backend does not have.
    """
    precision = choose_precision(precision, backend, problem.anchors)
    note_backend(type(rule).__name__, f"{backend} {precision}" if backend == "triton" else backend)
    if backend == "reference":
        return _typed(problem, run_reference(rule, problem))
    with ieee_float32():
        if backend == "blocked":
            outputs = run_blocked(rule, problem)
        else:
            from .triton import run_triton  # only here: nothing imports Triton before it is asked for

            outputs = run_triton(rule, problem, precision)
    if not rule.needs_distance:
        outputs = tuple(
            problem.from_order(part) if kind == "distance" else part
            for kind, part in zip(rule.outputs, outputs, strict=True)
        )
    return _typed(problem, outputs)


def _typed(problem: Problem, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(part.to(problem.dtype) if part.is_floating_point() else part.long() for part in outputs)
