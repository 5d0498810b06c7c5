"""The prepared images of a dataset: found, or made where they are missing."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Dataset
from mlbench.api.errors import DataError
from mlbench.data.cache import TEMPORARY
from mlbench.data.decoders import Decoders, write_counted
from mlbench.data.first_resize import decoded, image_of
from mlbench.data.lock import locked
from mlbench.data.preparation import Layout, in_memory
from mlbench.data.shelf import Shelf

#: Called now and then with the images that are prepared, all images, and the seconds left (None: not known yet).
Tell = Callable[[int, int, float | None], None]

#: Prepared images of at most so many bytes are kept in memory, by every process for itself.
_IN_MEMORY = 2**26
#: Images that are decoded at every call: to guess the size of all, and to see that those on disk are the dataset's.
_SAMPLE = 8


def prepare(
    dataset: Dataset, resize: int | None, decoders: Decoders | None = None, tell: Tell = lambda *_: None
) -> Layout | None:
    """Decode every image of a dataset once and keep it, resized, in the cache folder; a small set is left alone.

    Images lie in chunk files. A preparation that was killed goes on with the first missing chunk; processes that
    prepare the same images at once take turns.

    Args:
        dataset: A dataset of images.
        resize: Length that the shorter side gets; None leaves the images as they are.
        decoders: Processes that decode; by default this one does.
        tell: Is told how far it is.

    Returns:
        Where the images lie; None if they are less than 64 MiB.

    Raises:
        DataError: If the disk is too small or cannot be written.
    """
    size = _bytes(dataset, _sample(dataset, resize))
    if size <= _IN_MEMORY:
        return None
    layout = Layout.of(dataset, resize)
    if layout.missing():
        _make(layout, dataset, resize, size, decoders, tell)
    return layout


def prepared(
    dataset: Dataset, resize: int | None, decoders: Decoders | None = None, tell: Tell = lambda *_: None
) -> Shelf:
    """Every image of a dataset, decoded once and resized.

    Sets of up to 64 MiB are decoded into memory at every call. Larger ones are mapped from where `prepare`, whose
    arguments these are, has put them: all processes share them.

    Raises:
        DataError: Also if the images on disk are not the dataset's.
    """
    layout = prepare(dataset, resize, decoders, tell)
    if layout is None:
        return in_memory(dataset, resize)
    shelf = layout.open()
    if mended := [index for index in shelf.damaged if reason(dataset, index, resize) is None]:
        # It was the disk or the network that failed, not the image.
        layout.forget(mended)
        return prepared(dataset, resize, decoders, tell)
    _compare(shelf, _sample(dataset, resize), dataset, layout.folder)
    return shelf


def reason(dataset: Dataset, index: int, resize: int | None) -> str | None:
    """Why an item cannot be decoded; None if it can."""
    try:
        image_of(dataset, index, resize)
    except (DataError, OSError) as error:
        return str(error) or f"{dataset.items.ids[index]}: {type(error).__name__}"
    return None


def _sample(dataset: Dataset, resize: int | None) -> Mapping[int, npt.NDArray[np.uint8]]:
    places = np.unique(np.linspace(0, len(dataset.items) - 1, _SAMPLE).astype(np.int64))
    return dict(zip(places.tolist(), decoded(dataset, places, resize), strict=True))


def _bytes(dataset: Dataset, sample: Mapping[int, npt.NDArray[np.uint8]]) -> int:
    """About how many bytes the prepared images have."""
    return sum(image.size for image in sample.values()) * len(dataset.items) // len(sample)


def _make(
    layout: Layout, dataset: Dataset, resize: int | None, size: int, decoders: Decoders | None, tell: Tell
) -> None:
    total = len(dataset.items)
    try:
        layout.folder.mkdir(parents=True, exist_ok=True)
        with locked(layout.folder / "lock", lambda: tell(0, total, None)):
            missing = layout.missing()  # whoever had the lock before may have made them
            images = sum(len(items) for _, items in missing)
            _require_space(layout.folder, size * images // total)
            for stale in layout.folder.glob(f".*{TEMPORARY}"):
                stale.unlink(missing_ok=True)
            count = _Progress(total - images, total, tell)
            if decoders:
                decoders.write(missing, resize, count)
            else:
                for path, items in missing:
                    write_counted(path, dataset, items, resize, count)
    except OSError as error:
        raise DataError(
            f"{layout.folder}: cannot be written ({error.strerror}); set MLBENCH_CACHE to a folder that can, for about "
            f"{_in_gb(size)} of prepared images"
        ) from error


def _require_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"{folder}: preparing the images needs about {_in_gb(size)}, {_in_gb(free)} are free; free some space, or "
            "set MLBENCH_CACHE to a folder on another disk"
        )


def _compare(shelf: Shelf, sample: Mapping[int, npt.NDArray[np.uint8]], dataset: Dataset, folder: Path) -> None:
    for index, image in sample.items():
        if image.size == 0:
            continue
        (there,) = shelf.take(np.array([index]))
        if not np.array_equal(there.permute(1, 2, 0).numpy(), np.broadcast_to(image, (*image.shape[:2], len(there)))):
            raise DataError(
                f"{dataset.items.ids[index]}: the dataset gives another image than the one that was prepared in "
                f"{folder}, though its content_hash is the same; the hash must cover all that changes an image. "
                "Remove that folder to prepare again"
            )


class _Progress:
    """Counts images and guesses the time left from the speed of this call."""

    def __init__(self, before: int, total: int, tell: Tell) -> None:
        self._before, self._now, self._total, self._tell = before, before, total, tell
        self._begun = time.monotonic()

    def __call__(self, images: int) -> None:
        self._now += images
        left = (time.monotonic() - self._begun) / (self._now - self._before) * (self._total - self._now)
        self._tell(self._now, self._total, left)


def _in_gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
