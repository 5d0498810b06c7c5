"""Mining with any rule, a user's own included."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from ..checks import check_rule
from ..rules.rule import Rule
from .arguments import Options, check_arguments
from .search import Search


def mine(
    rule: Rule,
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    **options: Unpack[Options],
) -> tuple[Tensor, ...]:
    """Run `rule` on every anchor.

    Args:
        rule: what to keep of an anchor's references, see `mlbench_kernels.rules`.
        anchors: `[N, D]`, any floating-point dtype.
        labels: `[N]`, integers.
        references: `[M, D]`, or None: the anchors are mined among themselves, none with itself.
        reference_labels: `[M]`, integers.
        **options: as for `batch_hard`.

    Returns:
        The rule's outputs, `[N]` or `[N, width]` each, without gradients.

    Raises:
        ValueError: for arguments that do not fit.
        RuntimeError: for a backend that cannot run here.

    >>> import torch
    >>> from mlbench_kernels.rules import Extreme
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> mine(Extreme("negatives"), embeddings, torch.tensor([0, 0, 1]))
    (tensor([2, 2, 1]),)
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    check_rule(rule, checked.anchors)
    return Search.of(checked).run(rule)
