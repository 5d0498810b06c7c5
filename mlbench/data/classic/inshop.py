"""In-shop Clothes Retrieval, of DeepFashion."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.boxed import BoxedFolder
from mlbench.data.classic.entries import Box, Entry
from mlbench.data.classic.layout import first_existing
from mlbench.data.classic.text import one_of, read_counted

_PARTITIONS = ("list_eval_partition.txt", "Eval/list_eval_partition.txt")
_IMAGES = ("img", "Img/img")
_BOXES = ("list_bbox_inshop.txt", "Anno/list_bbox_inshop.txt")
_TOP = "In-shop Clothes Retrieval Benchmark"


class InShop(BoxedFolder):
    """7,982 pieces of clothing, 52,712 photographs; classes in the order of the owner's item ids.

    ``items.splits`` holds the owner's split, which is by class: 3,997 items (25,882 images) train, 3,985 test.
    ``items.roles`` divides the test images into 14,218 queries and 12,612 of the gallery. The superclasses are gender
    and category (``WOMEN/Dresses``).

    The lists and the images may lie side by side or in the owner's folders ``Eval``, ``Anno`` and ``Img``. Without
    ``list_bbox_inshop.txt`` there are no boxes.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="In-Shop: 52,712 photographs of 7,982 pieces of clothing, with queries and gallery",
        citation="Liu et al., DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations, "
        "CVPR 2016",
        tags=("rgb", "files", "superclasses", "query-gallery"),
    )
    licence: ClassVar[str] = "DeepFashion's agreement: non-commercial research only"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(name="img.zip", within=("Img", f"{_TOP}/Img")),
        Archive(name="list_eval_partition.txt", within=("Eval", f"{_TOP}/Eval")),
        Archive(name="list_bbox_inshop.txt", within=("Anno", f"{_TOP}/Anno"), optional=True),
    )
    expected: ClassVar[Counts | None] = Counts(classes=7_982, items=52_712)
    id: ClassVar[str] = "inshop"
    top: ClassVar[str] = _TOP
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = tuple(
        (partition, images) for partition in _PARTITIONS for images in _IMAGES
    )

    def _entries(self) -> Sequence[Entry]:
        listed = first_existing(self.folder, *_PARTITIONS)
        status = one_of("train", "query", "gallery")
        rows = read_counted(listed, {"image name": _image, "item id": str, "evaluation status": status})
        return [
            Entry(
                id=path,
                order=item,
                name=item,
                split="train" if part == "train" else "test",
                role="" if part == "train" else part,
                superclass="/".join(path.split("/")[1:3]),
                box=self._box(path),
            )
            for path, item, part in rows
        ]

    def _file(self, name: str) -> Path:
        return self._beside_images / name

    @cached_property
    def _beside_images(self) -> Path:
        return first_existing(self.folder, *_IMAGES).parent

    def _box(self, path: str) -> Box | None:
        if self._boxes is None:
            return None
        if path not in self._boxes:
            raise DataError(f"{first_existing(self.folder, *_BOXES)}: has no row for {path}; is the file whole?")
        return self._boxes[path]

    @cached_property
    def _boxes(self) -> dict[str, Box] | None:
        listed = first_existing(self.folder, *_BOXES)
        if not listed.exists():
            return None
        corners = dict.fromkeys(("x_1", "y_1", "x_2", "y_2"), int)
        rows = read_counted(listed, {"image name": _image, "clothes type": int, "pose type": int, **corners})
        return {path: (left, top, right, bottom) for path, _, _, left, top, right, bottom in rows}


def _image(field: str) -> str:
    """``img/WOMEN/Dresses/id_00000002/02_1_front.jpg``: gender, category, item and picture."""
    if field.count("/") < 3 or not field.startswith("img/"):
        raise ValueError(field)
    return field
