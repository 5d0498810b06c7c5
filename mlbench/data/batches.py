"""Streams of batches: saved between two batches, and shared by the ranks of a distributed training."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mlbench.api.errors import ConfigError
from mlbench.api.sampler import GroupedBatch, Indices, ResumableBatches, Sampler
from mlbench.registry import info_of


def batches_of(
    sampler: Sampler, labels: npt.ArrayLike, seed: int, superclasses: npt.ArrayLike | None = None
) -> Iterator[Indices | GroupedBatch]:
    """A sampler's stream, given what it needs.

    Args:
        sampler: The sampler.
        labels: Class of every training item. ``[N]``
        seed: Any non-negative integer.
        superclasses: Superclass of every training item, where the dataset has some. ``[N]``

    Raises:
        ConfigError: If these classes cannot fill a batch, or the sampler needs superclasses and there are none.
    """
    if "superclasses" not in info_of(type(sampler)).needs:
        return sampler.batches(labels, seed)
    if superclasses is None:
        raise ConfigError(f"the sampler {type(sampler).__name__} needs superclasses, and this dataset has none")
    stream: Iterator[Indices | GroupedBatch] = sampler.batches(labels, seed, superclasses=superclasses)  # type: ignore[call-arg]
    return stream


class RandomBatches(ABC):
    """An endless stream whose whole state is a generator of random numbers and a queue.

    What waits in the queue is visited in shuffled passes, so that at any time nothing was drawn more than once more
    than anything else.

    Args:
        size: How many there are to draw from: ``0..size-1``.
        seed: Any non-negative integer.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._queue: list[int] = []

    def __iter__(self) -> "RandomBatches":
        return self

    @abstractmethod
    def __next__(self) -> Indices:
        """The next batch."""

    def state_dict(self) -> dict[str, Any]:
        """See `ResumableBatches`; as long as the queue, which is at most ``size``."""
        return {"generator": self._rng.bit_generator.state, "queue": list(self._queue)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `ResumableBatches`."""
        self._rng.bit_generator.state = state["generator"]
        self._queue = list(state["queue"])

    def _distinct(self, count: int) -> list[int]:
        """The next ``count`` distinct ones.

        Where a pass ends among them, they are filled up from the next pass; what they already hold is put off to the
        ones after.
        """
        drawn, self._queue = self._queue[:count], self._queue[count:]
        if len(drawn) < count:
            following = self._rng.permutation(self._size).tolist()
            taken = set(drawn)
            fresh = [index for index in following if index not in taken]
            missing = count - len(drawn)
            self._queue = [index for index in following if index in taken] + fresh[missing:]
            drawn = drawn + fresh[:missing]
        return drawn

    def _samples(self, members: Indices, count: int) -> Indices:
        """``count`` samples of a class, without replacement where it has enough."""
        if len(members) < count:
            return members[self._rng.integers(len(members), size=count)]
        # A fourth of the time of rng.choice, which does the same.
        return self._rng.permutation(members)[:count]


class RankBatches:
    """What one rank of a distributed training draws: its part of every batch of the whole training.

    Every rank opens the same stream with the same seed and takes another run of each batch, so that together they see
    what one process would see. Classes stay whole where the number of ranks divides the number of classes in a batch.

    Args:
        stream: The stream of the whole training.
        rank: Which part, ``0..world_size-1``.
        world_size: Number of parts.

    Raises:
        ConfigError: If there is no such rank; and from ``next``, if a batch cannot be cut into equal parts.

    >>> from mlbench.data import MPerClass
    >>> streams = [MPerClass(4, 2).batches([0, 0, 1, 1, 2, 2], seed=0) for _ in range(3)]
    >>> whole = next(streams[0]).tolist()
    >>> whole == [index for rank in (0, 1) for index in next(RankBatches(streams[1 + rank], rank, 2)).tolist()]
    True
    """

    def __init__(self, stream: Iterator[Indices | GroupedBatch], rank: int, world_size: int) -> None:
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank {rank} is none of 0..{world_size - 1}")
        self._stream, self._rank, self._world_size = stream, rank, world_size

    def __iter__(self) -> "RankBatches":
        return self

    def __next__(self) -> Indices | GroupedBatch:
        batch = next(self._stream)
        if isinstance(batch, GroupedBatch):
            return GroupedBatch(self._part(batch.indices), self._part(batch.groups))
        return self._part(batch)

    def _part(self, batch: Indices) -> Indices:
        if len(batch) % self._world_size:
            raise ConfigError(
                f"a batch of {len(batch)} cannot be shared by {self._world_size} ranks; change batch_size"
            )
        share = len(batch) // self._world_size
        return batch[self._rank * share : (self._rank + 1) * share]

    def state_dict(self) -> dict[str, Any]:
        """See `ResumableBatches`; the same on every rank.

        Raises:
            ConfigError: If the whole training's stream has no state.
        """
        return self._resumable().state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `ResumableBatches`."""
        self._resumable().load_state_dict(state)

    def _resumable(self) -> ResumableBatches:
        if not isinstance(self._stream, ResumableBatches):
            raise ConfigError(f"the stream of batches {type(self._stream).__name__} has no state_dict to be saved by")
        return self._stream
