"""Optimisers, batches, early stopping: what one training is made of."""

from typing import Any, Literal

from mlbench.spec.base import Table, added, result


class Optimizer(Table):
    """A ``torch.optim`` optimiser. ``momentum`` is for those that have one (SGD, RMSprop)."""

    name: Literal["SGD", "RMSprop", "Adam", "AdamW"] = result("RMSprop")
    lr: float = result(1e-6, gt=0)
    weight_decay: float = result(1e-4, ge=0)
    momentum: float = result(0.9, ge=0, lt=1)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the ``torch.optim`` class."""
        shared: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        return shared | ({"momentum": self.momentum} if self.name in ("SGD", "RMSprop") else {})


class Training(Table):
    """One training: epochs of fixed length, validation at intervals, patience.

    An epoch is ``iterations_per_epoch`` batches. Validation runs every ``evaluate_every`` epochs; training stops when
    ``epoch - best_epoch > patience`` at a validation, or after ``max_epochs``.

    ``precision = "bf16"`` trains the model in mixed precision: its layers compute in bfloat16 where autocast lets them,
    parameters, miners, losses and optimisers stay in float32. Embeddings that are evaluated are always float32's.

    ``ranks`` processes share every batch, each on a device of its own. Like ``threads`` they change how sums are split,
    so the last bits of a result.
    """

    batch_size: int = result(32, ge=2)
    iterations_per_epoch: int = result(100, ge=1)
    max_epochs: int = result(1000, ge=1)
    evaluate_every: int = result(2, ge=1)
    patience: int = result(9, ge=0)
    optimizer: Optimizer = result(Optimizer())
    loss_optimizer: Optimizer = result(Optimizer(lr=1e-2))
    threads: int = result(1, ge=1, le=256)
    precision: Literal["fp32", "bf16"] = added("fp32")
    ranks: int = added(1, ge=1, le=1024)
