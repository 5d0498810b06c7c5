"""Datasets for tests of prepared images, in a module that another process imports quickly."""

import os
import signal

import numpy as np

from mlbench.api.dataset import Dataset, ItemTable


class Memory(Dataset):
    """A dataset of the arrays it is given; an exception in the place of an array is raised on loading."""

    def __init__(self, images: list, labels: list[int], content: str = "") -> None:
        self.images, self.labels, self.content = images, labels, content
        self.loads = 0

    @property
    def items(self) -> ItemTable:
        ids = tuple(f"item{index}" for index in range(len(self.images)))
        names = tuple(f"class{index}" for index in range(max(self.labels) + 1))
        return ItemTable(ids=ids, labels=np.array(self.labels, np.int64), class_names=names)

    def load(self, index: int) -> np.ndarray:
        self.loads += 1
        if isinstance(self.images[index], BaseException):
            raise self.images[index]
        return self.images[index]

    @property
    def content_hash(self) -> str:
        return self.content


class KilledAt(Memory):
    """Ends its own process when an item is loaded, as the system does when memory runs out."""

    at = 0

    def load(self, index: int) -> np.ndarray:
        if index == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load(index)


def random_images(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
