"""Oxford-IIIT Pet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.entries import Entry
from mlbench.data.classic.image_files import OwnerFolder
from mlbench.data.classic.text import one_of, read_table

_SPECIES = {"1": "cat", "2": "dog"}


class OxfordPet(OwnerFolder):
    """37 breeds of cats and dogs, 7,349 photographs; classes in the owner's order, 1 to 37.

    The archive holds 7,390 pictures; the 41 that ``annotations/list.txt`` leaves out are in no class and in no split.
    Some pictures named ``.jpg`` are PNG or GIF: files are read by what they are. The superclasses are cat and dog.

    **Splits.** ``trainval.txt`` (``"train"``, 3,680 images) and ``test.txt`` (3,669) of the owner, which
    ``items.splits`` holds, are per image: every class is in both, for classification.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Oxford-IIIT Pet: 7,349 photographs of 37 breeds of cats and dogs",
        citation="Parkhi et al., Cats and Dogs, CVPR 2012, doi:10.1109/CVPR.2012.6248092",
        tags=("rgb", "files", "superclasses"),
    )
    licence: ClassVar[str] = "CC BY-SA 4.0"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="images.tar.gz",
            url="https://thor.robots.ox.ac.uk/~vgg/data/pets/images.tar.gz",
            checksum="sha256:67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
        ),
        Archive(
            name="annotations.tar.gz",
            url="https://thor.robots.ox.ac.uk/~vgg/data/pets/annotations.tar.gz",
            checksum="sha256:52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
        ),
    )
    expected: ClassVar[Counts | None] = Counts(classes=37, items=7_349)
    closed_set: ClassVar[bool] = True
    id: ClassVar[str] = "pet"
    top: ClassVar[str] = "oxford-iiit-pet"
    images: ClassVar[str] = "images"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("images", "annotations/list.txt", "annotations/trainval.txt", "annotations/test.txt"),
    )

    def _entries(self) -> Sequence[Entry]:
        notes = self.folder / "annotations"
        split = {name: "train" for name, *_ in _rows(notes / "trainval.txt")}
        split |= {name: "test" for name, *_ in _rows(notes / "test.txt")}
        rows = _rows(notes / "list.txt")
        if strays := split.keys() ^ {name for name, *_ in rows}:
            raise DataError(
                f"{notes}: {min(strays)} is either in list.txt or in one of trainval.txt and test.txt, not in both; "
                "are the three files whole?"
            )
        return [
            Entry(
                id=f"{name}.jpg",
                order=number,
                name=name.rpartition("_")[0],
                split=split[name],
                superclass=_SPECIES[species],
            )
            for name, number, species, _ in rows
        ]


def _rows(path: Path) -> list[tuple[Any, ...]]:
    return read_table(path, {"image": str, "class id": int, "species (1 or 2)": one_of(*_SPECIES), "breed id": int})
