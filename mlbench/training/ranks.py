"""The processes of one training. Together they do what one process would do with the whole batch.

Every rank draws the same batches and embeds its part of each. Embeddings and labels are gathered, so that miner and
loss see the whole batch, on every rank alike.
"""

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mlbench.api import ConfigError
from mlbench.api.sampler import GroupedBatch, Indices
from mlbench.data.batches import RankBatches
from mlbench.training.whole_norm import share_batch_norms

T = TypeVar("T")
#: The one of these that this torch has: the second is new in 2.13, where the first one is deprecated.
_NAMES = ("broadcast_buffers", "forward_sync_buffers")
_NO_BUFFERS: dict[str, Any] = {
    [name for name in _NAMES if name in signature(DistributedDataParallel).parameters][-1]: False
}


class Ranks:
    """One process alone: the whole batch is its part.

    Attributes:
        rank: Which of the processes this is; rank 0 validates, keeps checkpoints and tells.
        world_size: How many there are.
    """

    rank = 0
    world_size = 1

    def batches(self, stream: Iterator[Indices | GroupedBatch]) -> Iterator[Indices | GroupedBatch]:
        """This rank's part of every batch."""
        return stream

    def embedder(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """What maps this rank's images ``[B / world_size, C, H, W]`` to the embeddings of the batch, ``[B, E]``."""
        return model

    def gather(self, part: Tensor) -> Tensor:
        """The parts of all ranks in their order, ``[B, ...]``; without a gradient."""
        return part

    def align(self, loss: nn.Module) -> None:
        """See to it that the gradients of the loss's own parameters are the same bits on all ranks."""

    def first(self, call: Callable[[], T]) -> T:
        """What rank 0 gets from a call, on all ranks; the others wait for it."""
        return call()


#: The only one where there are no others.
ALONE = Ranks()


class Several(Ranks):
    """One of several processes, of which the default process group consists.

    Raises:
        ConfigError: From `embedder`, and from the first step, if the model does not treat every image by itself.
    """

    def __init__(self) -> None:
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()

    def batches(self, stream: Iterator[Indices | GroupedBatch]) -> Iterator[Indices | GroupedBatch]:
        """See `Ranks`."""
        return RankBatches(stream, self.rank, self.world_size)

    def embedder(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """See `Ranks`."""
        return _Distributed(model, self)

    def gather(self, part: Tensor) -> Tensor:
        """See `Ranks`."""
        part = part.contiguous()
        parts = [torch.empty_like(part) for _ in range(self.world_size)]
        dist.all_gather(parts, part)
        return torch.cat(parts)

    def align(self, loss: nn.Module) -> None:
        """See `Ranks`; on a GPU the order of sums is free, and parameters would drift apart."""
        for parameter in loss.parameters():
            if parameter.grad is not None:
                dist.broadcast(parameter.grad, src=0)

    def first(self, call: Callable[[], T]) -> T:
        """See `Ranks`."""
        box = [call() if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        found: Any = box[0]
        return found  # type: ignore[no-any-return]  # it crossed as any object


class _Distributed:
    """A model whose gradients are summed over the ranks while they are computed."""

    def __init__(self, model: nn.Module, ranks: Several) -> None:
        share_batch_norms(model)
        # Buffers are those of batch norms, or functions of nothing: they stay equal by themselves.
        self._model = DistributedDataParallel(model, **_NO_BUFFERS)
        self._ranks = ranks
        self._checked = False

    def __call__(self, images: Tensor) -> Tensor:
        before = None if self._checked else _generators(images.device)
        embeddings = self._model(images)
        if before is not None and not all(map(torch.equal, before, _generators(images.device))):
            raise ConfigError(
                "training.ranks: the trunk draws random numbers (dropout, stochastic depth), and ranks would draw "
                "others than one process; switch that off in model.trunk, or train with ranks = 1"
            )
        self._checked = True
        gathered: Tensor = _Gather.apply(embeddings, self._ranks)  # type: ignore[no-untyped-call]
        return gathered


class _Gather(torch.autograd.Function):
    """`Several.gather` with a gradient."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, ranks: Several) -> Tensor:
        ctx.ranks = ranks
        return ranks.gather(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Every rank has the gradient of the whole loss. What flows on from its part is one term of a sum over the
        # ranks, of which DistributedDataParallel takes the mean.
        ranks = ctx.ranks
        return gradient.chunk(ranks.world_size)[ranks.rank] * ranks.world_size, None


def _generators(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states
