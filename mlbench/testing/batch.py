"""Small batches with which components are tried."""

from dataclasses import dataclass

import torch
from torch import Tensor

#: What a component is built for: labels are below ``CLASSES``, embeddings have ``SIZE`` components.
CLASSES, SIZE = 8, 16


@dataclass(frozen=True)
class Batch:
    """Embeddings, their labels, and another view of the same samples.

    Attributes:
        embeddings: ``[N, D]`` float32.
        labels: ``[N]`` int64.
        second: ``[N, D]`` float32.
    """

    embeddings: Tensor
    labels: Tensor
    second: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def reordered(self, order: Tensor) -> "Batch":
        """The same samples in another order."""
        return Batch(self.embeddings[order], self.labels[order], self.second[order])

    def relabelled(self, labels: Tensor) -> "Batch":
        """The same samples with other labels."""
        return Batch(self.embeddings, labels, self.second)


def batch_of(labels: list[int], seed: int = 0) -> Batch:
    """A batch with these labels: embeddings cluster by class, enough for losses to be neither zero nor all equal.

    >>> len(batch_of([0, 0, 1, 1]))
    4
    """
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, SIZE, generator=generator)
    chosen = torch.tensor(labels)
    noise = torch.randn(2, len(labels), SIZE, generator=generator)
    return Batch(centres[chosen] + noise[0], chosen, centres[chosen] + noise[1])


def balanced(seed: int = 0) -> Batch:
    """Four samples of every class, in class order."""
    return batch_of([label for label in range(CLASSES) for _ in range(4)], seed)


def one_class() -> Batch:
    """Eight samples of one class: no negatives."""
    return batch_of([3] * 8)


def singletons() -> Batch:
    """One sample of every class: no positives."""
    return batch_of(list(range(CLASSES)))


def duplicates() -> Batch:
    """Four samples of every class, equal within the class: positives at distance 0."""
    batch = balanced()
    first = torch.arange(len(batch)) // 4 * 4
    return Batch(batch.embeddings[first], batch.labels, batch.second[first])
