"""Caltech-UCSD Birds-200-2011."""

from collections.abc import Sequence
from typing import ClassVar

from mlbench.api.dataset import Archive, Counts
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.boxed import BoxedFolder
from mlbench.data.classic.entries import Box, Entry
from mlbench.data.classic.text import finite, one_of, read_keyed


class Cub200(BoxedFolder):
    """200 bird species, 11,788 photographs, eight of them grey; classes in the owner's order, 1 to 200.

    **Splits.** The owner's ``train_test_split.txt``, which ``items.splits`` holds, is per image: every class is in both
    halves, for classification. Metric learning splits by class instead: train on the first 100 classes, test on the
    other 100.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="CUB-200-2011: 11,788 photographs of 200 bird species",
        citation="Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, CNS-TR-2011-001, doi:10.22002/D1.20098",
        tags=("rgb", "files", "boxes"),
    )
    licence: ClassVar[str] = "images of many owners, for non-commercial research and education"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="CUB_200_2011.tgz",
            url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            checksum="sha256:0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
        ),
    )
    expected: ClassVar[Counts | None] = Counts(classes=200, items=11_788)
    closed_set: ClassVar[bool] = True
    id: ClassVar[str] = "cub200"
    top: ClassVar[str] = "CUB_200_2011"
    images: ClassVar[str] = "images"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (
        (
            "images",
            "images.txt",
            "image_class_labels.txt",
            "classes.txt",
            "train_test_split.txt",
            "bounding_boxes.txt",
        ),
    )

    def _entries(self) -> Sequence[Entry]:
        root, corners = self.folder, dict.fromkeys(("x", "y", "width", "height"), finite)
        names = read_keyed(root / "classes.txt", "class", {"name": str})
        files = read_keyed(root / "images.txt", "image", {"path": str})
        labels = read_keyed(root / "image_class_labels.txt", "image", {"class number": int})
        training = read_keyed(root / "train_test_split.txt", "image", {"is training image (0 or 1)": one_of("0", "1")})
        boxes = read_keyed(root / "bounding_boxes.txt", "image", corners)
        return [
            Entry(
                id=files[number][0],
                order=labels[number][0],
                name=names[labels[number][0]][0],
                split="train" if training[number][0] == "1" else "test",
                box=_corners(*boxes[number]),
            )
            # An image that only some of the files know is an error, whichever file is the shorter one.
            for number in sorted({*files, *labels, *training, *boxes})
        ]


def _corners(x: float, y: float, width: float, height: float) -> Box:
    return round(x), round(y), round(x + width), round(y + height)
