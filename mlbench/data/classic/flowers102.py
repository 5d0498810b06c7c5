"""Oxford 102 Flowers."""

from collections.abc import Sequence
from typing import ClassVar

from mlbench.api.dataset import Archive, Counts
from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.entries import Entry
from mlbench.data.classic.image_files import OwnerFolder
from mlbench.data.classic.matlab import read_mat

_OWNER = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
_SPLITS = {"trnid": "train", "valid": "val", "tstid": "test"}


class Flowers102(OwnerFolder):
    """102 flower categories, 8,189 photographs; classes in the owner's order, by their numbers, as they have no names.

    **Splits.** The owner's, which ``items.splits`` holds, are per image: ``trnid`` (1,020 images, ten of every class),
    ``valid`` (1,020) and ``tstid`` (6,149), each as it is named. Some code trains on ``tstid``, because it is larger.
    Every class is in all three, for classification.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Oxford 102 Flowers: 8,189 photographs of 102 kinds",
        citation="Nilsback and Zisserman, Automated Flower Classification over a Large Number of Classes, ICVGIP 2008",
        tags=("rgb", "files"),
    )
    licence: ClassVar[str] = "images of many owners; the owner states none"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="102flowers.tgz",
            url=f"{_OWNER}/102flowers.tgz",
            checksum="sha256:2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
        ),
        Archive(
            name="imagelabels.mat",
            url=f"{_OWNER}/imagelabels.mat",
            checksum="sha256:4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
        ),
        Archive(
            name="setid.mat",
            url=f"{_OWNER}/setid.mat",
            checksum="sha256:46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
        ),
    )
    expected: ClassVar[Counts | None] = Counts(classes=102, items=8_189)
    closed_set: ClassVar[bool] = True
    id: ClassVar[str] = "flowers102"
    top: ClassVar[str] = "flowers-102"
    images: ClassVar[str] = "jpg"
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (("jpg", "imagelabels.mat", "setid.mat"),)

    def _entries(self) -> Sequence[Entry]:
        sets = self.folder / "setid.mat"
        (labels,) = read_mat(self.folder / "imagelabels.mat", "labels")
        numbers = dict(zip(_SPLITS.values(), read_mat(sets, *_SPLITS), strict=True))
        split = {int(number): name for name, members in numbers.items() for number in members}
        images = range(1, len(labels) + 1)
        if split.keys() != set(images) or sum(map(len, numbers.values())) != len(images):
            raise DataError(f"{sets}: does not split the {len(images):,} images of imagelabels.mat; are both whole?")
        return [
            Entry(id=f"image_{image:05d}.jpg", order=int(label), name=f"{label:03d}", split=split[image])
            for image, label in zip(images, labels, strict=True)
        ]
