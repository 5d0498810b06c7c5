"""The contract of a sampler: which samples make a batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GroupedBatch:
    """A batch whose samples belong to groups finer than their classes, such as clusters.

    Attributes:
        indices: Which training items it holds. ``[B]`` int64
        groups: Group of every one of them; any integers, samples of two classes never share one. ``[B]`` int64

    Raises:
        ValueError: If the two differ in shape.
    """

    indices: Indices
    groups: Indices

    def __post_init__(self) -> None:
        if self.indices.shape != self.groups.shape:
            raise ValueError(f"groups {self.groups.shape} must have the shape of indices {self.indices.shape}")


class Sampler(Protocol):
    """A component of the group ``mlbench.samplers``.

    A constructor argument named ``batch_size`` is filled in by the harness from the benchmark's ``training`` table. The
    stream may be one of `ResumableBatches`. Where ``info`` says ``needs={"superclasses"}``, ``batches`` is also given
    ``superclasses``, by name: the superclass of every training item, ``[N]`` int64.
    """

    def batches(self, labels: npt.ArrayLike, seed: int) -> Iterator[Indices | GroupedBatch]:
        """An endless stream of batches, a pure function of its arguments and of the refreshes in between.

        A stream must not run ahead: what is drawn after a refresh follows it.

        Args:
            labels: Class of every training item. ``[N]``
            seed: Any non-negative integer, the only source of randomness.

        Raises:
            ConfigError: At once, if these classes cannot fill a batch. Plans are checked with one item for each class.
        """
        ...


@runtime_checkable
class ResumableBatches(Protocol):
    """A stream of batches that can be saved between two batches.

    A stream that is not one is continued by drawing again all that was drawn before, which takes longer the further it
    was, and cannot be done where the sampler follows the model.
    """

    def __next__(self) -> Indices | GroupedBatch:
        """The next batch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is: small, with a JSON form, and not changed by later draws."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where ``state`` was taken.

        Args:
            state: From ``state_dict``, or its JSON form read back, of a stream with the same arguments.
        """
        ...


@runtime_checkable
class RefreshedSampler(Sampler, Protocol):
    """A sampler that follows the model: it is shown the training items' embeddings again and again.

    The first refresh comes before the first batch of a training, the next ones at the start of every epoch, or of every
    ``refresh_every``-th where the sampler has an integer attribute of that name.
    """

    def refresh(self, embeddings: npt.NDArray[np.float32], labels: Indices) -> None:
        """Look at the embeddings as they are now.

        Args:
            embeddings: The model's outputs for all training items as the loss gets them, not normalised, but with the
                transform of evaluation and the model in evaluation mode. ``[N, D]``
            labels: Class of every training item. ``[N]``
        """
        ...
