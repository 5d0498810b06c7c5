"""Any folder of class folders as a dataset."""

import os
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import ConfigError, DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.content import content_hash
from mlbench.data.decoding import decode_rgb

#: File name extensions that count as images, whatever their case.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class Folder(Dataset):
    """Class = sub-folder of ``path``, samples = the images in it and below it; classes and images in sorted order.

    Files that are no images, hidden files and hidden folders are passed over. Every image is converted to RGB, see
    :func:`mlbench.data.decoding.decode_rgb`.

    Args:
        path: The folder of class folders.
        min_images: A class with fewer images is an error: a lone image has no positive to retrieve.

    Raises:
        ConfigError: If ``min_images`` is below 1.
        DataError: If the folder is missing or holds no classes, or a class has too few images.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Your own images: a folder with one sub-folder per class", tags=("rgb", "files")
    )
    licence: ClassVar[str] = "as the images"

    def __init__(self, path: str, min_images: int = 2) -> None:
        if min_images < 1:
            raise ConfigError(f"folder: min_images must be at least 1, got {min_images}")
        self._root = Path(path).expanduser()
        self._min_images = min_images

    @cached_property
    def items(self) -> ItemTable:
        """The item table; ids are paths relative to the folder, with ``/``."""
        classes = {folder.name: _images(folder) for folder in self._class_folders()}
        self._check(classes)
        paths = [path for images in classes.values() for path in images]
        return ItemTable(
            ids=tuple(_identifier(path, self._root) for path in paths),
            labels=np.repeat(np.arange(len(classes)), [len(images) for images in classes.values()]).astype(np.int64),
            class_names=tuple(classes),
        )

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """Decode an image to RGB ``[H, W, 3]``.

        Raises:
            DataError: If it is damaged or of an unsupported kind; names the file and the reason.
        """
        return decode_rgb(self._root / self.items.ids[index])

    @cached_property
    def content_hash(self) -> str:
        """Over the relative names and the bytes of all files; see :func:`mlbench.data.content.content_hash`."""
        return content_hash([], [(name, self._root / name) for name in self.items.ids])

    def _class_folders(self) -> list[Path]:
        if not self._root.is_dir():
            what = "is not a folder" if self._root.exists() else "does not exist"
            here = "" if self._root.is_absolute() else f" in {Path.cwd()}"
            raise DataError(f"folder: {self._root} {what}{here}; set `path` to a folder with one sub-folder per class")
        entries = [entry for entry in self._root.iterdir() if not entry.name.startswith(".")]
        folders = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: entry.name)
        if not folders:
            found = "holds images but no class folders" if any(map(_is_image, entries)) else "has no class folders"
            raise DataError(f"folder: {self._root} {found}; put the images of each class into its own sub-folder")
        return folders

    def _check(self, classes: dict[str, list[Path]]) -> None:
        if not any(classes.values()):
            raise DataError(
                f"folder: no images under {self._root} in {len(classes)} class folders; "
                f"images are recognised by {', '.join(EXTENSIONS)}"
            )
        few = {name: len(images) for name, images in classes.items() if len(images) < self._min_images}
        if few:
            name, count = next(iter(few.items()))
            others = f" (and {len(few) - 1} more such classes)" if len(few) > 1 else ""
            raise DataError(
                f"folder: class {name!r} in {self._root / name} has {count} image{'s'[: count != 1]}, needs at least "
                f"{self._min_images}{others}; add images, or move the class folder elsewhere"
            )


def _images(folder: Path) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for name in files if _is_image(path := Path(parent, name))]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _identifier(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        # Records and tables name items; a name that is no text could not be written into them.
        raise DataError(f"folder: the file name {name!r} in {root} is not valid UTF-8; rename it") from None
    return name
