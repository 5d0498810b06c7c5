"""The contract of a component that follows the epochs of a training."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class FollowsEpochs(Protocol):
    """A loss, a miner or a sampler that has this method is told of every epoch before its first batch.

    Components inside another one, such as the miner of a cross-batch memory, are told too. What is told must follow
    from ``epoch`` alone, not from how often the method was called.
    """

    def start_epoch(self, epoch: int) -> None:
        """Epoch ``epoch`` begins; the first is 0."""
        ...
