"""ImageNet-1k, the classification set of ILSVRC2012."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.entries import Entry
from mlbench.data.classic.image_files import OwnerFolder
from mlbench.data.classic.layout import first_existing
from mlbench.data.classic.matlab import fields, read_mat
from mlbench.data.classic.text import read_table
from mlbench.data.folder import EXTENSIONS

_DEVKITS = ("ILSVRC2012_devkit_t12/data", "devkit/data", "data")


class ImageNet(OwnerFolder):
    """1,000 synsets, 1,281,167 photographs for training and 50,000 for validation; classes in the order of their ids.

    ``train`` has a folder per class, ``n01440764`` to ``n15075141``. ``val`` has the same folders, or holds the 50,000
    files as the owner's archive does; then the development kit must be there, which says their classes.

    ``items.splits`` holds ``"train"`` and ``"val"``, which are per image: every class is in both, for classification.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="ImageNet-1k: 1,331,167 photographs of 1,000 synsets",
        citation="Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015, arXiv:1409.0575",
        tags=("rgb", "files"),
    )
    licence: ClassVar[str] = "ImageNet's terms: non-commercial research and education"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="ILSVRC2012_img_train.tar",
            checksum="md5:1d675b47d978889d74fa0da5fadfb00e",
            folder="train",
            nested=True,
        ),
        Archive(name="ILSVRC2012_img_val.tar", checksum="md5:29b22e2961454d5413ddabcf34fc5622", folder="val"),
        Archive(name="ILSVRC2012_devkit_t12.tar.gz", checksum="md5:fa75699e90414af021442c21a62c3abf"),
    )
    expected: ClassVar[Counts | None] = Counts(classes=1_000, items=1_331_167)
    closed_set: ClassVar[bool] = True
    id: ClassVar[str] = "imagenet"
    top: ClassVar[str] = "ILSVRC2012"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (("train", "val"),)

    def _entries(self) -> Sequence[Entry]:
        train = self._by_class("train")
        if not train:
            raise DataError(
                f"{self.folder / 'train'}: has no class folders like n01440764; `mlbench datasets prepare imagenet "
                "--from FOLDER` unpacks the owner's archives"
            )
        return [*train, *(self._by_class("val") or self._by_number({entry.name for entry in train}))]

    def _by_class(self, split: str) -> list[Entry]:
        """Images in a folder per class."""
        folders = sorted(path for path in (self.folder / split).iterdir() if _is_synset(path))
        return [
            Entry(id=f"{split}/{folder.name}/{name}", order=folder.name, name=folder.name, split=split)
            for folder in folders
            for name in sorted(name for name in os.listdir(folder) if name.lower().endswith(EXTENSIONS))
        ]

    def _by_number(self, known: set[str]) -> list[Entry]:
        """The validation images side by side; the development kit lists their classes by number."""
        kit = first_existing(self.folder, *_DEVKITS)
        if not kit.is_dir():
            raise DataError(
                f"{self.folder / 'val'}: has no class folders like n01440764, and {self.folder} no {_DEVKITS[0]} that "
                "says the classes of its files; unpack ILSVRC2012_devkit_t12.tar.gz there"
            )
        (synsets,) = read_mat(kit / "meta.mat", "synsets")
        synset = dict(fields(synsets, kit / "meta.mat", "ILSVRC2012_ID", "WNID"))
        truth = kit / "ILSVRC2012_validation_ground_truth.txt"
        names = [synset.get(number, "") for (number,) in read_table(truth, {"class number": int})]
        if strays := set(names) - known:
            raise DataError(
                f"{truth}: names classes that {self.folder / 'train'} does not have: {min(strays) or 'unknown'}"
            )
        return [
            Entry(id=f"val/ILSVRC2012_val_{number:08d}.JPEG", order=name, name=name, split="val")
            for number, name in enumerate(names, start=1)
        ]


def _is_synset(path: Path) -> bool:
    return path.name[:1] == "n" and path.name[1:].isdigit() and path.is_dir()
