"""Stanford Online Products."""

from collections.abc import Sequence
from typing import Any, ClassVar

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.entries import Entry
from mlbench.data.classic.image_files import OwnerFolder
from mlbench.data.classic.text import Columns, read_table


class StanfordOnlineProducts(OwnerFolder):
    """22,634 products in 12 categories, 120,053 photographs; classes in the owner's order, 1 to 22,634.

    ``items.splits`` holds the owner's split, which is by class: the first 11,318 classes (59,551 images) train, the
    other 11,316 (60,502) test. The superclasses are the categories.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Stanford Online Products: 120,053 photographs of 22,634 products in 12 categories",
        citation="Song et al., Deep Metric Learning via Lifted Structured Feature Embedding, CVPR 2016, "
        "arXiv:1511.06452",
        tags=("rgb", "files", "superclasses"),
    )
    licence: ClassVar[str] = "images of eBay's sellers, for research"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="Stanford_Online_Products.zip",
            url="http://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",
            checksum="sha256:b04fa78210e69fab050ce73939550e1cd0f96890bdd98ec9fee732c3b756ef48",
        ),
    )
    expected: ClassVar[Counts | None] = Counts(classes=22_634, items=120_053)
    id: ClassVar[str] = "sop"
    top: ClassVar[str] = "Stanford_Online_Products"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (("Ebay_train.txt", "Ebay_test.txt", "Ebay_info.txt"),)

    def _entries(self) -> Sequence[Entry]:
        rows = [(split, *row) for split in ("train", "test") for row in self._rows(split)]
        if (count := len(self._rows("info"))) != len(rows):
            raise DataError(
                f"{self.folder}: Ebay_info.txt lists {count:,} images, Ebay_train.txt and Ebay_test.txt list "
                f"{len(rows):,}; are the three files whole?"
            )
        return [
            Entry(id=path, order=product, name=str(product), split=split, superclass=path.partition("_final/")[0])
            for split, _, product, _, path in rows
        ]

    def _rows(self, part: str) -> list[tuple[Any, ...]]:
        columns: Columns = {"image id": int, "class id": int, "super class id": int, "path": _product}
        return read_table(self.folder / f"Ebay_{part}.txt", columns, skip=1)


def _product(field: str) -> str:
    """``bicycle_final/111085122871_0.JPG``: category and picture."""
    if "_final/" not in field:
        raise ValueError(field)
    return field
