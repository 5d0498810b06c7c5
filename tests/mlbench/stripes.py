"""A dataset and one with an unstable hash, in a module that another process imports quickly."""

import numpy as np

from mlbench.api import Dataset, ItemTable


class Stripes(Dataset):
    """Ten classes of two pictures; the stripe says which class, its brightness which picture."""

    classes = 10

    @property
    def items(self):
        return ItemTable(
            ids=tuple(map(str, range(2 * self.classes))),
            labels=np.repeat(np.arange(self.classes), 2),
            class_names=tuple(f"class {index}" for index in range(self.classes)),
        )

    def load(self, index):
        pixels = np.zeros((16, 16, 1), np.uint8)
        pixels[index // 2] = 100 + index % 2
        return pixels

    @property
    def content_hash(self):
        return "0" * 64


class HashOfStrings(Stripes):
    @property
    def content_hash(self):
        return f"{hash(self.items.ids) % 16**8:064x}"
