"""iNaturalist 2018."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.entries import Entry
from mlbench.data.classic.image_files import OwnerFolder
from mlbench.data.classic.layout import first_existing
from mlbench.data.classic.text import read_bytes, read_table

_OWNER = "https://ml-inat-competition-datasets.s3.amazonaws.com/2018"
#: The folder of the lists of the split by class.
_LISTS = "Inat_dataset_splits"


class INaturalist2018(OwnerFolder):
    """8,142 species, 461,939 photographs of the competition's training and validation set; classes by their number.

    **Splits.** With the files of the Smooth-AP paper, ``Inaturalist_train_set1.txt`` and ``Inaturalist_test_set1.txt``,
    beside the annotations or in ``Inat_dataset_splits``, ``items.splits`` is metric learning's split by class: 5,690
    species (325,846 images) train, 2,452 (136,093) test. Without them it is the competition's, which is per image:
    ``"train"`` (437,513) and ``"val"`` (24,426). The superclasses are the owner's super-categories.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="iNaturalist 2018: 461,939 photographs of 8,142 species",
        citation="Van Horn et al., The iNaturalist Species Classification and Detection Dataset, CVPR 2018, "
        "arXiv:1707.06642; split: Brown et al., Smooth-AP, ECCV 2020, arXiv:2007.12163",
        tags=("rgb", "files", "superclasses"),
    )
    licence: ClassVar[str] = "images under licences of their own; non-commercial research and education"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="train_val2018.tar.gz",
            url=f"{_OWNER}/train_val2018.tar.gz",
            checksum="md5:b1c6952ce38f31868cc50ea72d066cc3",
        ),
        Archive(
            name="train2018.json.tar.gz",
            url=f"{_OWNER}/train2018.json.tar.gz",
            checksum="md5:bfa29d89d629cbf04d826a720c0a68b0",
        ),
        Archive(
            name="val2018.json.tar.gz",
            url=f"{_OWNER}/val2018.json.tar.gz",
            checksum="md5:f2ed8bfe3e9901cdefceb4e53cd3775d",
        ),
        *(
            Archive(name=f"Inaturalist_{split}_set1.txt", folder=_LISTS, within=(_LISTS,), optional=True)
            for split in ("train", "test")
        ),
    )
    expected: ClassVar[Counts | None] = Counts(classes=8_142, items=461_939)
    id: ClassVar[str] = "inaturalist2018"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (("train2018.json", "val2018.json", "train_val2018"),)

    def _entries(self) -> Sequence[Entry]:
        entries = [entry for split in ("train", "val") for entry in _listed(self.folder / f"{split}2018.json", split)]
        lists = {split: self._list(split) for split in ("train", "test")}
        if not any(path.exists() for path in lists.values()):
            return entries
        by_class = {
            _inside(name): split for split, path in lists.items() for (name,) in read_table(path, {"image": str})
        }
        left = [entry.id for entry in entries if _inside(entry.id) not in by_class]
        if left:
            raise DataError(f"{lists['train']}: it and its test list leave out {len(left):,} images, such as {left[0]}")
        return [entry._replace(split=by_class[_inside(entry.id)]) for entry in entries]

    def _list(self, split: str) -> Path:
        """The list of one side of the split by class."""
        name = f"Inaturalist_{split}_set1.txt"
        return first_existing(self.folder, f"{_LISTS}/{name}", name)


def _inside(path: str) -> str:
    """``Aves/2761/x.jpg``: the part of a path on which the split files and the annotations agree."""
    return "/".join(path.split("/")[-3:])


def _listed(path: Path, split: str) -> list[Entry]:
    try:
        content: dict[str, Any] = json.loads(read_bytes(path))
        classes = {row["id"]: (row["name"], row["supercategory"]) for row in content["categories"]}
        label = {row["image_id"]: row["category_id"] for row in content["annotations"]}
        labelled = [(row["file_name"], label[row["id"]]) for row in content["images"]]
        return [
            Entry(id=path, order=species, name=classes[species][0], split=split, superclass=classes[species][1])
            for path, species in labelled
        ]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: is no annotation of iNaturalist 2018: {error}; is the file whole?") from None
    except KeyError as error:
        raise DataError(f"{path}: has no {error}; is the file whole?") from None
