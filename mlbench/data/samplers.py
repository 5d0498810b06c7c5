"""Which samples make a batch."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.errors import ConfigError
from mlbench.api.info import ComponentInfo
from mlbench.api.sampler import Indices
from mlbench.data.batches import RandomBatches


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

    def batches(self, labels: npt.ArrayLike, seed: int) -> "MPerClassBatches":
        """An endless stream of batches, a pure function of its arguments.

        Args:
            labels: Class of every sample; any integers. ``[N]``
            seed: Any non-negative integer.

        Returns:
            Sample indices of one batch after the other, the samples of a class side by side. ``[batch_size]`` int64

        Raises:
            ConfigError: If there are fewer classes than a batch has.
        """
        members = members_of_classes(labels)
        per_batch = self.batch_size // self.samples_per_class
        count = len(members)
        if count < per_batch:
            raise ConfigError(
                f"a batch of {self.batch_size} with {self.samples_per_class} per class needs {per_batch} classes, the "
                f"training set has {count}; lower batch_size to at most {count * self.samples_per_class}, "
                "or raise samples_per_class"
            )
        return MPerClassBatches(members, per_batch, self.samples_per_class, seed)


class MPerClassBatches(RandomBatches):
    """The stream of `MPerClass`, for one training set and one seed."""

    def __init__(self, members: list[Indices], classes: int, samples: int, seed: int) -> None:
        super().__init__(len(members), seed)
        self._members, self._classes, self._each = members, classes, samples

    def __next__(self) -> Indices:
        """The next batch, ``[batch_size]`` int64."""
        return np.concatenate([self._samples(self._members[c], self._each) for c in self._distinct(self._classes)])


def members_of_classes(labels: npt.ArrayLike) -> list[Indices]:
    """The samples of every class, the classes in the order of their labels."""
    _, classes = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) == 0:
        return []
    return np.split(np.argsort(classes, kind="stable"), np.cumsum(np.bincount(classes))[:-1])
