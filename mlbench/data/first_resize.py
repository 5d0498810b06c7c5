"""From an item of a dataset to its prepared image: decoded, checked, and resized where that is asked for."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlbench.api.dataset import Dataset
from mlbench.api.errors import DataError
from mlbench.data.chunks import Ints

#: Version of how images are decoded and resized; a new one if a pixel can change.
RECIPE = 1

_NOTHING = np.zeros((0, 0, 0), np.uint8)


def decoded(dataset: Dataset, items: Ints, resize: int | None) -> Iterator[npt.NDArray[np.uint8]]:
    """The items after the first resize; an empty array for one that cannot be decoded."""
    for index in items.tolist():
        try:
            yield image_of(dataset, index, resize)
        except (DataError, OSError):
            yield _NOTHING


def image_of(dataset: Dataset, index: int, resize: int | None) -> npt.NDArray[np.uint8]:
    """One item after the first resize, ``[H, W, C]``.

    Raises:
        DataError: If it cannot be decoded or is no image.
    """
    image = dataset.load(index)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
        what = f"{image.dtype} {list(image.shape)}"
        raise DataError(f"{dataset.items.ids[index]}: loaded as {what}, an image is uint8 [H, W, 1 or 3]")
    return resized(image, resize)  # type: ignore[arg-type]


def resized(image: npt.NDArray[np.uint8], shorter: int | None) -> npt.NDArray[np.uint8]:
    """Scale an image so that its shorter side is ``shorter``: ``[H, W, C]`` to ``[h, w, C]``.

    Bilinear, antialiased, by Pillow. The longer side is rounded down, as torchvision does.
    """
    height, width, channels = image.shape
    now = min(height, width)
    if shorter is None or now == shorter:
        return image
    size = (width * shorter // now, height * shorter // now)
    pillow = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    small = np.array(pillow.resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)
    return small.reshape(size[1], size[0], channels)
