"""Which samples make a batch."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.errors import ConfigError
from mlbench.api.info import ComponentInfo
from mlbench.api.sampler import Indices


class MPerClass:
    """Batches of ``batch_size / samples_per_class`` distinct classes with ``samples_per_class`` samples of each.

    Classes are visited in shuffled passes, so that at any time no class was drawn more than once more than another,
    whatever their sizes. The samples of a class are drawn without replacement, or with it if the class is too small.

    Args:
        batch_size: Samples in a batch.
        samples_per_class: Samples of each class in a batch.

    Raises:
        ConfigError: If ``batch_size`` is not a positive multiple of ``samples_per_class``.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="m samples of each of batch_size / m classes; classes in shuffled passes",
        citation="Musgrave et al., A Metric Learning Reality Check, ECCV 2020, arXiv:2003.08505",
    )

    def __init__(self, batch_size: int, samples_per_class: int) -> None:
        if samples_per_class < 1 or batch_size < 1 or batch_size % samples_per_class:
            raise ConfigError(
                f"batch_size {batch_size} is not a positive multiple of samples_per_class {samples_per_class}; "
                "change one of them"
            )
        self.batch_size = batch_size
        self.samples_per_class = samples_per_class

    def batches(self, labels: npt.ArrayLike, seed: int) -> Iterator[Indices]:
        """An endless stream of batches, a pure function of its arguments.

        Args:
            labels: Class of every sample; any integers. ``[N]``
            seed: Any non-negative integer.

        Returns:
            Sample indices of one batch after the other, the samples of a class side by side. ``[batch_size]`` int64

        Raises:
            ConfigError: If there are fewer classes than a batch has.
        """
        _, classes = np.unique(np.asarray(labels), return_inverse=True)
        members = np.split(np.argsort(classes, kind="stable"), np.cumsum(np.bincount(classes))[:-1])
        per_batch = self.batch_size // self.samples_per_class
        if len(classes) == 0 or len(members) < per_batch:
            count = len(members) if len(classes) else 0
            raise ConfigError(
                f"a batch of {self.batch_size} with {self.samples_per_class} per class needs {per_batch} classes, the "
                f"training set has {count}; lower batch_size to at most {count * self.samples_per_class}, "
                "or raise samples_per_class"
            )
        return self._endless(members, per_batch, np.random.default_rng(seed))

    def _endless(self, members: list[Indices], per_batch: int, rng: np.random.Generator) -> Iterator[Indices]:
        for classes in _classes_of_batches(len(members), per_batch, rng):
            yield np.concatenate([self._samples(members[index], rng) for index in classes])

    def _samples(self, members: Indices, rng: np.random.Generator) -> Indices:
        if len(members) < self.samples_per_class:
            return members[rng.integers(len(members), size=self.samples_per_class)]
        # A fourth of the time of rng.choice, which does the same.
        return rng.permutation(members)[: self.samples_per_class]


def _classes_of_batches(classes: int, per_batch: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Cut shuffled passes over the classes into batches of distinct ones.

    Where a pass ends inside a batch, the batch is filled from the next pass; classes that it already has are put off to
    the batch after it.
    """
    queue: list[int] = []
    while True:
        batch, queue = queue[:per_batch], queue[per_batch:]
        if len(batch) < per_batch:
            following = rng.permutation(classes).tolist()
            taken = set(batch)
            fresh = [index for index in following if index not in taken]
            missing = per_batch - len(batch)
            queue = [index for index in following if index in taken] + fresh[missing:]
            batch = batch + fresh[:missing]
        yield batch
