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

    def to(self, dtype: torch.dtype) -> "Batch":
        """The same samples in another floating-point type."""
        return Batch(self.embeddings.to(dtype), self.labels, self.second.to(dtype))

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


def uneven() -> Batch:
    """Classes of different sizes, out of order, one of them a single sample."""
    return batch_of([0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 1])


def zero_vectors() -> Batch:
    """Four samples of every class, the first of each zero: it has no direction."""
    batch = balanced()
    kept = (torch.arange(len(batch)) % 4 > 0).float()[:, None]
    return Batch(batch.embeddings * kept, batch.labels, batch.second * kept)


def collapsed() -> Batch:
    """Four samples of every class, all equal: every distance is 0."""
    batch = balanced()
    first = torch.zeros(len(batch), dtype=torch.long)
    return Batch(batch.embeddings[first], batch.labels, batch.second[first])


def relabelled(batch: Batch) -> Batch:
    """The same samples and classes, the classes called otherwise."""
    names = 1000 + torch.randperm(CLASSES, generator=torch.Generator().manual_seed(2))
    return batch.relabelled(names[batch.labels])
