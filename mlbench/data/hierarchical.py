"""Batches of a few superclasses."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.errors import ConfigError
from mlbench.api.info import ComponentInfo
from mlbench.api.sampler import Indices
from mlbench.data.batches import RandomBatches
from mlbench.data.samplers import members_of_classes


class Hierarchical:
    """Batches from a few superclasses, whose classes are hard to tell apart, with equally many classes of each.

    Superclasses are visited in shuffled passes, their classes are drawn anew for every batch. Where a superclass has
    too few classes, the other superclasses of the batch give more. Classes of a batch are distinct; the samples of a
    class are drawn without replacement, or with it if the class is too small.

    Source: F. Cakir et al., Deep Metric Learning to Rank, CVPR 2019; the sampler of the same name in
    pytorch-metric-learning, whose batches are smaller where a superclass has too few classes.

    Args:
        batch_size: Samples in a batch.
        samples_per_class: Samples of each class in a batch.
        superclasses_per_batch: Superclasses in a batch.

    Raises:
        ConfigError: If ``batch_size`` is not a positive multiple of ``samples_per_class * superclasses_per_batch``.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="m samples of each of some classes of a few superclasses",
        citation="Cakir, He, Xia, Kulis, Sclaroff: Deep Metric Learning to Rank. CVPR 2019",
        needs=frozenset({"superclasses"}),
    )

    def __init__(self, batch_size: int, samples_per_class: int = 4, superclasses_per_batch: int = 2) -> None:
        smallest = samples_per_class * superclasses_per_batch
        if min(batch_size, samples_per_class, superclasses_per_batch) < 1 or batch_size % smallest:
            raise ConfigError(
                f"batch_size {batch_size} is not a positive multiple of samples_per_class {samples_per_class} times "
                f"superclasses_per_batch {superclasses_per_batch}; change one of them"
            )
        self.batch_size = batch_size
        self.samples_per_class = samples_per_class
        self.superclasses_per_batch = superclasses_per_batch

    def batches(self, labels: npt.ArrayLike, seed: int, *, superclasses: npt.ArrayLike) -> "HierarchicalBatches":
        """An endless stream of batches, a pure function of its arguments.

        Args:
            labels: Class of every sample; any integers. ``[N]``
            seed: Any non-negative integer.
            superclasses: Superclass of every sample, the same for all of a class; any integers. ``[N]``

        Returns:
            Sample indices of one batch after the other, those of a superclass side by side, and in them those of a
            class. ``[batch_size]`` int64

        Raises:
            ConfigError: If there are fewer superclasses than a batch has, or some that are in a batch together can
                have fewer classes than it needs.
        """
        members = members_of_classes(labels)
        above = np.asarray(superclasses)
        families = members_of_classes([above[samples[0]] for samples in members])
        per_batch = self.batch_size // self.samples_per_class
        fewest = sum(sorted(map(len, families))[: self.superclasses_per_batch])
        if len(families) < self.superclasses_per_batch or fewest < per_batch:
            raise ConfigError(
                f"a batch of {self.batch_size} needs {self.superclasses_per_batch} superclasses with {per_batch} "
                f"classes together; the training set has {len(families)}, the smallest of which have {fewest}; lower "
                "batch_size, or raise samples_per_class or superclasses_per_batch"
            )
        return HierarchicalBatches(members, families, self, seed)


class HierarchicalBatches(RandomBatches):
    """The stream of `Hierarchical`, for one training set and one seed."""

    def __init__(self, members: list[Indices], families: list[Indices], sampler: Hierarchical, seed: int) -> None:
        super().__init__(len(families), seed)
        self._members, self._families, self._sampler = members, families, sampler

    def __next__(self) -> Indices:
        """The next batch, ``[batch_size]`` int64."""
        each = self._sampler.samples_per_class
        return np.concatenate([self._samples(self._members[index], each) for index in self._classes()])

    def _classes(self) -> list[int]:
        sampler = self._sampler
        chosen = self._distinct(sampler.superclasses_per_batch)
        orders = [self._rng.permutation(self._families[index]).tolist() for index in chosen]
        wanted = sampler.batch_size // sampler.samples_per_class
        shares = [min(len(order), wanted // len(orders)) for order in orders]
        for place, order in enumerate(orders):  # what others lack
            shares[place] += min(len(order) - shares[place], wanted - sum(shares))
        return [index for order, share in zip(orders, shares, strict=True) for index in order[:share]]
