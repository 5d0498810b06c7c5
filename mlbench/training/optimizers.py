"""Two optimisers: one for the model, one for the loss's own parameters (proxies, class weights, learnt margins)."""

import torch
from torch import nn

from mlbench.spec.training import Optimizer, Training


def optimizers_of(model: nn.Module, loss: nn.Module | None, training: Training) -> list[torch.optim.Optimizer]:
    """The model's optimiser, and the loss's where it has parameters."""
    optimizers = [_optimizer(model, training.optimizer)]
    if loss is not None and any(parameter.requires_grad for parameter in loss.parameters()):
        optimizers.append(_optimizer(loss, training.loss_optimizer))
    return optimizers


def _optimizer(module: nn.Module, table: Optimizer) -> torch.optim.Optimizer:
    cls: type[torch.optim.Optimizer] = getattr(torch.optim, table.name)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return cls(trained, foreach=True, **table.arguments())  # type: ignore[call-arg]  # every one of them takes it
