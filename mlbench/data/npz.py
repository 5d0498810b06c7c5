"""Precomputed embeddings as a dataset: an ``.npz`` file of vectors and labels."""

import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo


class Npz(Dataset):
    """Item = row of ``embeddings [N, D]``, class = its entry in ``labels [N]``: the file of ``mlbench evaluate``.

    Classes are in ascending order of their labels, items in the order of the file. Labels are integers or strings.
    Embeddings of another precision are rounded to 32 bits. Other arrays of the file are not read.

    Args:
        path: The file; ``numpy.savez(path, embeddings=..., labels=...)`` writes it.

    Raises:
        DataError: If the file is missing, is no ``.npz`` of plain arrays, lacks one of the two, or they do not fit.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Your own embeddings: an .npz with embeddings [N, D] and labels [N]", tags=("vectors", "files")
    )
    licence: ClassVar[str] = "as the embeddings"

    def __init__(self, path: str) -> None:
        self._path = Path(path).expanduser()

    @cached_property
    def items(self) -> ItemTable:
        """The item table; ids are row numbers."""
        labels = self._arrays[1]
        names, classes = np.unique(labels, return_inverse=True)
        return ItemTable(
            ids=tuple(str(row) for row in range(len(labels))),
            labels=classes.astype(np.int64),
            class_names=tuple(str(name) for name in names),
        )

    @property
    def vector_size(self) -> int:
        """Length D of the embeddings."""
        return int(self._arrays[0].shape[1])

    def load(self, index: int) -> npt.NDArray[np.float32]:
        """An embedding ``[D]``."""
        vector: npt.NDArray[np.float32] = self._arrays[0][index]
        return vector

    @cached_property
    def content_hash(self) -> str:
        """Over the embeddings as they are used and the labels, whatever the file around them."""
        return digest(["npz", self._arrays[0], self.items.labels, *self.items.class_names])

    @cached_property
    def _arrays(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        arrays = read_embeddings(self._path)
        try:
            return _checked(arrays["embeddings"], arrays["labels"])
        except DataError as error:
            raise DataError(f"{self._path}: {error}") from None


def read_embeddings(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an ``.npz`` file that holds ``embeddings`` and ``labels``; nothing is unpickled.

    Raises:
        DataError: If the file is missing, is no ``.npz``, lacks one of the two or holds pickled objects.
    """
    try:
        arrays = _plain_arrays(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not an .npz of plain arrays ({error}); write it with numpy.savez") from None
    missing = [name for name in ("embeddings", "labels") if name not in arrays]
    if missing:
        raise DataError(f"{path}: has no array {missing[0]!r}, only {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays


def _plain_arrays(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    # Opened here: numpy leaves a file open that turns out to be no archive.
    with open(path, "rb") as stream:
        file = np.load(stream, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("a single array, an .npy file")
        return {name: file[name] for name in file.files}


def _checked(
    embeddings: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    if embeddings.ndim != 2 or 0 in embeddings.shape or embeddings.dtype.kind != "f":
        what = f"{embeddings.dtype} {list(embeddings.shape)}"
        raise DataError(f"embeddings must be real numbers [N, D], got {what}; N rows of D numbers each")
    if labels.shape != embeddings.shape[:1] or labels.dtype.kind not in "iubUS":
        what = f"{labels.dtype} {list(labels.shape)}"
        raise DataError(f"labels must be {len(embeddings)} integers or strings, one a row of embeddings, got {what}")
    with np.errstate(over="ignore"):  # what is too large for 32 bits is found as infinite below
        rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise DataError(
            f"embeddings: {len(broken)} of {len(rows)} rows hold values that are no finite 32-bit numbers, the first "
            f"is row {broken[0]}; leave these rows out"
        )
    return rows, labels
