"""Stanford Dogs."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.boxed import BoxedFolder
from mlbench.data.classic.entries import Box, Entry
from mlbench.data.classic.layout import first_existing
from mlbench.data.classic.matlab import read_mat
from mlbench.data.classic.text import read_bytes

_OWNER = "http://vision.stanford.edu/aditya86/ImageNetDogs"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class StanfordDogs(BoxedFolder):
    """120 dog breeds, 20,580 photographs from ImageNet; classes in the owner's order, 1 to 120.

    **Splits.** The owner's lists, which ``items.splits`` holds, are per image: of every class 100 images train (12,000)
    and the others test (8,580), for classification.

    The box is that of the first dog that the annotation of an image names; without the folder ``Annotation`` there are
    no boxes. The pictures are also in ImageNet: a trunk trained there has seen the test set, labels included.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Stanford Dogs: 20,580 photographs of 120 dog breeds, all from ImageNet",
        citation="Khosla et al., Novel Dataset for Fine-Grained Image Categorization, FGVC 2011",
        tags=("rgb", "files", "boxes"),
    )
    licence: ClassVar[str] = "ImageNet's terms: non-commercial research and education"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="images.tar",
            url=f"{_OWNER}/images.tar",
            checksum="sha256:a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
        ),
        Archive(
            name="lists.tar",
            url=f"{_OWNER}/lists.tar",
            checksum="sha256:34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
        ),
        Archive(
            name="annotation.tar",
            url=f"{_OWNER}/annotation.tar",
            checksum="sha256:662ed36f707be6b195c2fda392d8e153e83af28cedc8e2134a649f198def30fd",
        ),
    )
    expected: ClassVar[Counts | None] = Counts(classes=120, items=20_580)
    closed_set: ClassVar[bool] = True
    id: ClassVar[str] = "dogs"
    images: ClassVar[str] = "Images"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = tuple(
        ("Images", f"{lists}train_list.mat", f"{lists}test_list.mat") for lists in ("", "lists/")
    )

    def _entries(self) -> Sequence[Entry]:
        return [entry for split in ("train", "test") for entry in self._half(split)]

    def _half(self, split: str) -> list[Entry]:
        listed = first_existing(self.folder, f"{split}_list.mat", f"lists/{split}_list.mat")
        files, notes, labels = read_mat(listed, "file_list", "annotation_list", "labels")
        if not len(files) == len(notes) == len(labels):
            raise DataError(f"{listed}: {len(files)} files, {len(notes)} annotations and {len(labels)} labels")
        annotations = self.folder / "Annotation"
        boxed = annotations.is_dir()
        return [
            Entry(
                id=str(path),
                order=int(label),
                name=path.partition("/")[0].partition("-")[2],
                split=split,
                box=_first_box(annotations / note) if boxed else None,
            )
            for path, note, label in zip(files, notes, labels, strict=True)
        ]


def _first_box(path: Path) -> Box:
    """The box of the first object in an annotation of PASCAL's form."""
    try:
        annotation = ElementTree.fromstring(read_bytes(path))
        left, top, right, bottom = (int(annotation.findtext(f"object/bndbox/{at}", "")) for at in _CORNERS)
    except (ElementTree.ParseError, ValueError):
        raise DataError(f"{path}: is no annotation with a box; unpack the archive again") from None
    return left, top, right, bottom
