"""In which order an engine goes through anchors and references, and what each block of anchors has to see.

Positives are few: with both sides sorted by label, those of neighbouring anchors are neighbours too. Negatives are
almost everything, so they stay in the caller's order, in which the first of equal candidates has the lowest index.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..labels import LabelOrder
from ..rules.rule import Rule
from .problem import Problem


class Layout:
    """The order of one rule on one problem.

    Attributes:
        index: `[N]`, int64, the caller's index of the anchor at each position.
        reference_index: `[M]`, int64, likewise of the references.
        labels: `[N]`, int64, by position.
        reference_labels: `[M]`, int64, by position.
        sorted: whether positions follow the labels.
        offset: `[N]`, int64, what an engine counts the positions of each anchor's references from.
    """

    def __init__(self, rule: Rule, problem: Problem) -> None:
        self.sorted = rule.pool == "positives"
        device = problem.labels.device
        if self.sorted:
            references = problem.reference_order
            anchors = references if problem.square else LabelOrder.of(problem.labels)
            start, count = problem.positive_spans
            self.start = start.index_select(0, anchors.index)
            self.stop = self.start + count.index_select(0, anchors.index)
            self.index, self.reference_index = anchors.index, references.index
            self.labels, self.reference_labels = anchors.label, references.label
        else:
            self.labels, self.reference_labels = problem.labels.contiguous(), problem.reference_labels.contiguous()
            self.index = torch.arange(len(self.labels), device=device)
            self.reference_index = torch.arange(len(self.reference_labels), device=device)
        self.offset = torch.zeros_like(self.index)

    def factors(self, problem: Problem, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`Problem.factors` by position."""
        x, y, a, b = problem.factors(dtype)
        if not self.sorted:
            return x, y, a, b
        y, b = (part.index_select(0, self.reference_index) for part in (y, b))
        if problem.square:
            return y * problem.factor, y, b, b
        x, a = (part.index_select(0, self.index) for part in (x, a))
        return x, y, a, b

    def codes(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """Labels by position, int32 `[N]` and `[M]`: the index of the first reference of the label, -1 without any.

        Where references come by label, so do their codes: far-off blocks have no code in common.
        """
        order = problem.reference_order
        start, count = order.spans(self.labels)
        code = order.index[start.clamp_max(len(order.index) - 1)].masked_fill_(count == 0, -1)
        own = order.index[torch.searchsorted(order.label, self.reference_labels)]
        return code.int(), own.int()

    def thresholds(self, rule: Rule, problem: Problem, dtype: torch.dtype) -> Tensor:
        """The rule's thresholds `[N, T]` in its unit, by position; `[N, 0]` without."""
        given = limits(rule, problem, dtype)
        return (given[self.index] if self.sorted else given).contiguous()

    def spans(self, rows: int) -> tuple[Tensor, Tensor]:
        """Range of the references that each block of `rows` anchors has to see, int32 `[blocks]` each."""
        first = torch.arange(0, len(self.index), rows, device=self.index.device)
        if not self.sorted:
            start = torch.zeros_like(first)
            return start.int(), (start + len(self.reference_index)).int()
        last = (first + rows).clamp_max(len(self.index)) - 1
        return self.start[first].int(), self.stop[last].int()

    def restore(self, rule: Rule, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Outputs by position as outputs by index: positions of references too become indices."""
        if not self.sorted:
            return outputs
        back = torch.empty_like(self.index)
        back[self.index] = torch.arange(len(back), device=back.device)
        named = (
            self._index_of(part) if kind == "index" else part for kind, part in zip(rule.outputs, outputs, strict=True)
        )
        return tuple(part.index_select(0, back) for part in named)

    def _index_of(self, position: Tensor) -> Tensor:
        offset = self.offset.view(-1, *[1] * (position.ndim - 1))
        return torch.where(position < 0, position, self.reference_index[(position + offset).clamp_min(0)])


def limits(rule: Rule, problem: Problem, dtype: torch.dtype) -> Tensor:
    """The rule's thresholds `[N, T]` in its unit, by the caller's index; `[N, 0]` without."""
    if rule.thresholds is None:
        return torch.empty(len(problem.labels), 0, dtype=dtype, device=problem.labels.device)
    given = rule.thresholds.double()
    return (given if rule.needs_distance else problem.to_order(given)).to(dtype)
