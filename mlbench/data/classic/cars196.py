"""Stanford Cars, which metric learning calls Cars196."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy.typing as npt

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.boxed import BoxedFolder
from mlbench.data.classic.entries import Entry
from mlbench.data.classic.layout import first_existing
from mlbench.data.classic.matlab import fields, read_mat

_BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_TEST_ANNOTATIONS = ("cars_test_annos_withlabels.mat", "devkit/cars_test_annos_withlabels.mat")


class Cars196(BoxedFolder):
    """196 car models, 16,185 photographs, some of them grey; classes in the owner's order, 1 to 196.

    Two layouts are read: ``car_ims`` with ``cars_annos.mat``, which the Reality Check used, and the development kit's
    ``cars_train``, ``cars_test`` and ``devkit``. Their images have other names in another order, so that runs on one do
    not mix with runs on the other.

    **Splits.** The owner's training and test set, which ``items.splits`` holds, are per image: every class is in both,
    for classification. Metric learning splits by class instead: train on the first 98 classes, test on the other 98.

    The owner's boxes count pixels from 1 and include the last; here they are counted from 0, without the last.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Cars196: 16,185 photographs of 196 car models",
        citation="Krause et al., 3D Object Representations for Fine-Grained Categorization, 3dRR 2013",
        tags=("rgb", "files", "boxes"),
    )
    licence: ClassVar[str] = "images of many owners, for non-commercial research"
    #: The owner's links are dead since 2023.
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(name="car_ims.tgz", checksum="md5:d5c8f0aa497503f355e17dc7886c3f14"),
        Archive(name="cars_annos.mat", checksum="md5:b407c6086d669747186bd1d764ff9dbc"),
    )
    expected: ClassVar[Counts | None] = Counts(classes=196, items=16_185)
    closed_set: ClassVar[bool] = True
    id: ClassVar[str] = "cars196"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("cars_annos.mat", "car_ims"),
        *(
            ("cars_train", "cars_test", "devkit/cars_meta.mat", "devkit/cars_train_annos.mat", test)
            for test in _TEST_ANNOTATIONS
        ),
    )

    def _entries(self) -> Sequence[Entry]:
        whole = self.folder / "cars_annos.mat"
        if whole.exists():
            annotations, names = read_mat(whole, "annotations", "class_names")
            rows = fields(annotations, whole, "relative_im_path", "class", "test", *_BOX)
            return [_entry(path, number, test, box, names, whole) for path, number, test, *box in rows]
        (names,) = read_mat(self.folder / "devkit/cars_meta.mat", "class_names")
        return [*self._half("cars_train", names), *self._half("cars_test", names)]

    def _half(self, folder: str, names: npt.NDArray[Any]) -> list[Entry]:
        test = folder == "cars_test"
        found = first_existing(self.folder, *(_TEST_ANNOTATIONS if test else ["devkit/cars_train_annos.mat"]))
        (annotations,) = read_mat(found, "annotations")
        rows = fields(annotations, found, "fname", "class", *_BOX)
        return [_entry(f"{folder}/{name}", number, test, box, names, found) for name, number, *box in rows]


def _entry(path: str, number: int, test: bool, box: Sequence[int], names: npt.NDArray[Any], source: Path) -> Entry:
    if not 1 <= number <= len(names):
        raise DataError(f"{source}: {path} is of class {number}, but there are {len(names)} class names")
    left, top, right, bottom = box
    return Entry(
        id=path,
        order=number,
        name=str(names[number - 1]),
        split="test" if test else "train",
        box=(left - 1, top - 1, right, bottom),
    )
