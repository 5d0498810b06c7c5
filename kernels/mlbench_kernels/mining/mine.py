"""Mining with any rule, a user's own included."""

from __future__ import annotations

from torch import Tensor

from ..checks import check_rule
from ..engine import run_rule
from ..rules.rule import Rule
from .arguments import check_arguments, make_problem


def mine(
    rule: Rule,
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    distance: str = "cosine",
    backend: str = "auto",
) -> tuple[Tensor, ...]:
    """Run `rule` on every anchor.

    Args:
        rule: what to keep of an anchor's references, see `mlbench_kernels.rules`.
        anchors: `[N, D]`, any floating-point dtype.
        labels: `[N]`, integers.
        references: `[M, D]`, or None: the anchors are mined among themselves, none with itself.
        reference_labels: `[M]`, integers.
        distance: "cosine" (1 - cosine; a zero row has cosine 0), "euclidean" or "squared-euclidean".
        backend: "triton" (CUDA), "blocked" (any device), "reference" (dense float64), or "auto".

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
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    check_rule(rule, checked.anchors)
    return run_rule(rule, make_problem(*checked[:5]), checked.backend)
