"""The handwritten digits that scikit-learn ships: for smoke tests only, raw pixels already solve it."""

from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo


class Digits(Dataset):
    """Class = digit, sample = one scan, grey 8x8: 1,797 images of 10 classes.

    Ten classes are too few for four folds of the Reality Check; two folds work.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Handwritten digits of scikit-learn, 8x8 grey: smoke test only (raw pixels reach Recall@1 0.997)",
        citation="Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, doi:10.24432/C50P49",
        tags=("grey", "small"),
    )
    licence: ClassVar[str] = "CC BY 4.0"

    def __init__(self) -> None:
        bunch = load_digits()
        # The scans count ink in 0..16.
        self._pixels: npt.NDArray[np.uint8] = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        self._labels: npt.NDArray[np.int64] = bunch.target.astype(np.int64)

    @cached_property
    def items(self) -> ItemTable:
        """The item table, in scikit-learn's order."""
        ids = tuple(f"{index:04d}" for index in range(len(self._labels)))
        return ItemTable(ids=ids, labels=self._labels, class_names=tuple("0123456789"))

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """Ink 255 on a background of 0, ``[8, 8, 1]``."""
        return self._pixels[index, :, :, None]

    @cached_property
    def content_hash(self) -> str:
        """Over pixels and labels."""
        return digest(["digits", self._pixels, self._labels])
