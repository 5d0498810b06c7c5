"""Batch norm over a batch that several ranks share: its statistics are those of the whole batch, as in one process.

(torch's own `SyncBatchNorm` computes on GPUs alone.)
"""

from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mlbench.api import ConfigError

_KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def share_batch_norms(model: nn.Module) -> None:
    """Have the batch norms of a model see the batches of all ranks while they train.

    Raises:
        ConfigError: If one is of a class that is not torch's, and is in training mode.
    """
    for name, module in model.named_modules():
        if type(module) in _KNOWN:
            module.forward = partial(_forward, module)
        elif "BatchNorm" in type(module).__name__ and module.training:  # by name: the libraries have their own
            raise ConfigError(
                f"training.ranks: {name} is a {type(module).__name__}, which each rank would compute on its part of "
                "the batch; set model.freeze_batchnorm = true, choose a trunk with torch's batch norms, or train with "
                "ranks = 1"
            )


def _forward(norm: Any, images: Tensor) -> Tensor:
    """What ``norm`` does, with the mean over all ranks.

    Args:
        norm: The batch norm.
        images: This rank's part ``[B / world_size, C, ...]``.
    """
    if not norm.training:
        return type(norm).forward(norm, images)  # type: ignore[no-any-return]
    values = images if images.dtype == torch.float64 else images.float()
    over = [dim for dim in range(values.dim()) if dim != 1]
    shape = [1, -1, *[1] * (values.dim() - 2)]
    count = values.numel() // values.shape[1] * dist.get_world_size()
    mean = _total(values.sum(over)) / count
    centred = values - mean.view(shape)
    variance = _total(centred.square().sum(over)) / count
    if norm.track_running_stats:
        _track(norm, mean.detach(), variance.detach() * (count / (count - 1)))
    normed = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        normed = normed * norm.weight.view(shape) + norm.bias.view(shape)
    found: Tensor = normed.to(images.dtype)
    return found


@torch.no_grad()
def _track(norm: Any, mean: Tensor, variance: Tensor) -> None:
    norm.num_batches_tracked += 1
    share = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance, share)


class _Total(torch.autograd.Function):
    """A sum over the ranks, on all of them."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        return _summed(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)  # every rank's part is in the total of every rank


def _total(part: Tensor) -> Tensor:
    found: Tensor = _Total.apply(part)  # type: ignore[no-untyped-call]
    return found


def _summed(part: Tensor) -> Tensor:
    total = part.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total
