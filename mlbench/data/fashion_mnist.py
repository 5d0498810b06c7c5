"""Fashion-MNIST, from a Debian package or its owner's four files."""

import gzip
import zlib
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Archive, Counts, Dataset, ItemTable
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo
from mlbench.data.prepare.location import dataset_folder

_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
#: The owner's split -> the first part of its files' names, and its number of images.
_PARTS = {"train": ("train", 60_000), "test": ("t10k", 10_000)}
#: Where Debian's package puts them.
_INSTALLED = "usr/share/datasets/fashion-mnist"
_SIDE = 28


class FashionMnist(Dataset):
    """70,000 grey 28x28 pictures of ten kinds of clothes, with the owner's training and test split.

    Ten classes are few for class-disjoint folds: half are for testing, and ``folds = 2``, the only sensible choice,
    leaves two or three of the other five to train on. It is here because it installs anywhere, not because it is hard.

    Args:
        path: A folder that holds the owner's four files (``train-images-idx3-ubyte.gz``, ...), or the unpacked Debian
            package; by default where ``mlbench datasets prepare`` put it. Where the package ``dataset-fashion-mnist``
            is installed, that is ``/usr/share/datasets/fashion-mnist``.

    Raises:
        DataError: If a file is missing, damaged or not what it should be.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Fashion-MNIST: 70,000 grey 28x28 pictures of ten kinds of clothes",
        citation="Xiao, Rasul and Vollgraf, Fashion-MNIST, arXiv:1708.07747",
        tags=("grey", "small", "files"),
    )
    licence: ClassVar[str] = "MIT"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
            url="deb:dataset-fashion-mnist",
            checksum="sha256:39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        ),
    )
    expected: ClassVar[Counts | None] = Counts(classes=10, items=70_000)
    closed_set: ClassVar[bool] = True

    def __init__(self, path: str | None = None) -> None:
        self._path = path

    @cached_property
    def items(self) -> ItemTable:
        """The item table; ids are ``train/00000`` to ``test/09999``."""
        return ItemTable(
            ids=tuple(f"{split}/{index:05}" for split, (_, count) in _PARTS.items() for index in range(count)),
            labels=self._labels,
            class_names=_CLASSES,
            splits=tuple(split for split, (_, count) in _PARTS.items() for _ in range(count)),
        )

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """White clothes on black, ``[28, 28, 1]``."""
        return self._pixels[index, :, :, None]

    @cached_property
    def content_hash(self) -> str:
        """Over the pixels and labels."""
        return digest(["fashion-mnist", self._pixels, self._labels])

    @cached_property
    def _pixels(self) -> npt.NDArray[np.uint8]:
        parts = [self._read(f"{stem}-images-idx3-ubyte", (count, _SIDE, _SIDE)) for stem, count in _PARTS.values()]
        return np.concatenate(parts)

    @cached_property
    def _labels(self) -> npt.NDArray[np.int64]:
        parts = [self._read(f"{stem}-labels-idx1-ubyte", (count,)) for stem, count in _PARTS.values()]
        return np.concatenate(parts).astype(np.int64)

    def _read(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """An IDX file of bytes: two zeros, 8 for bytes, the number of dimensions, each of them, then the values."""
        root = dataset_folder("fashion-mnist", self._path)
        folder = root / _INSTALLED if (root / _INSTALLED).is_dir() else root
        file = folder / f"{name}.gz"
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        expected = len(header) + int(np.prod(shape))
        content = _unzipped(file, expected + 1)
        if content[: len(header)] != header or len(content) != expected:
            raise DataError(
                f"{file}: is not {name} of Fashion-MNIST (an IDX file of bytes {list(shape)}); get it again"
            )
        return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _unzipped(file: Path, limit: int) -> bytes:
    try:
        with gzip.open(file) as stream:
            return stream.read(limit)
    except FileNotFoundError:
        raise DataError(
            f"{file}: is missing; name a folder with the owner's four files, or `mlbench datasets prepare "
            "fashion-mnist --again`"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read: {error}; get it again") from None
