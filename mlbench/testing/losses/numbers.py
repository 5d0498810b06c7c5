"""How a loss copes with less precise numbers."""

import torch
from torch import Tensor

from mlbench.testing.batch import Batch, balanced
from mlbench.testing.requirement import require, requirement
from mlbench.testing.subject import Subject

#: bfloat16 keeps 8 bits; a loss may amplify that, but must not be off by more than a tenth.
_COARSE = 0.1
_WIDEN = "Compute in float32 where it matters: embeddings.float(), and masks and constants of the embeddings' dtype."


@requirement(_WIDEN)
def autocast(subject: Subject) -> None:
    """Under autocast to bfloat16 it gives nearly the same value, and finite gradients."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _close(subject, balanced(), subject.loss(subject.build(), balanced()))


@requirement(_WIDEN)
def bfloat16(subject: Subject) -> None:
    """Of bfloat16 embeddings it gives nearly the value of the same numbers in float32, and finite gradients."""
    batch = balanced().to(torch.bfloat16)
    embeddings = batch.embeddings.clone().requires_grad_()
    value = subject.loss(subject.build(), Batch(embeddings, batch.labels, batch.second))
    value.backward()
    require(embeddings.grad is not None and embeddings.grad.isfinite().all(), "the gradient is not finite")
    _close(subject, batch.to(torch.float32), value)


def _close(subject: Subject, batch: Batch, value: Tensor) -> None:
    with torch.autocast("cpu", enabled=False):
        exact = subject.loss(subject.build(), batch).item()
    coarse = value.item()
    require(abs(coarse - exact) <= _COARSE * (1 + abs(exact)), f"float32 gives {exact:.6g}, bfloat16 {coarse:.6g}")
