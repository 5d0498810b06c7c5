"""The contract of a dataset: an item table and a loader for one item."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo

#: What may stand in a column.
_WORDS = {"splits": ("train", "val", "test"), "roles": ("query", "gallery")}


@dataclass(frozen=True, kw_only=True)
class ItemTable:
    """One row per sample, in a fixed order.

    Attributes:
        ids: Stable name of every item, unique. ``[N]``
        labels: Class index of every item, ``0..C-1``, in the dataset's own fixed order, which splits cut into runs.
            ``[N]`` int64
        class_names: Name of every class. ``[C]``
        views: The view or modality of every item (font face, vendor, camera), where there is one. ``[N]``
        splits: The owner's split of every item (``"train"``, ``"val"``, ``"test"``; ``""`` for none). ``[N]``
        roles: ``"query"`` or ``"gallery"`` where the owner says so, ``""`` elsewhere. ``[N]``
        superclasses: Superclass of every class, ``0..S-1``. ``[C]`` int64
        superclass_names: Name of every superclass. ``[S]``
        boxes: Left, top, right and bottom of the object in pixels of the decoded item. ``[N, 4]`` int64

    Raises:
        DataError: If lengths differ, an id repeats, a label has no class or a class has no item.
    """

    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    views: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    superclasses: npt.NDArray[np.int64] | None = None
    superclass_names: tuple[str, ...] = ()
    boxes: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        _require_length("ids", self.ids, "labels", self.labels)
        for name in ("views", "splits", "roles", "boxes"):
            _require_length("ids", self.ids, name, getattr(self, name))
        _require_length("class_names", self.class_names, "superclasses", self.superclasses)
        if len(set(self.ids)) != len(self.ids):
            raise DataError("item table: an item id occurs twice")
        present = np.unique(self.labels)
        if len(present) != len(self.class_names) or (
            len(present) and present[[0, -1]].tolist() != [0, len(present) - 1]
        ):
            raise DataError(
                f"item table: labels must be 0..{len(self.class_names) - 1} with every class present, "
                f"got {len(present)} distinct labels for {len(self.class_names)} classes"
            )
        for name, known in _WORDS.items():
            if stray := set(getattr(self, name) or ()) - {*known, ""}:
                raise DataError(f"item table: {name} are {', '.join(known)} or empty, got {min(stray)!r}")
        if self.superclasses is not None and np.any(
            (self.superclasses < 0) | (self.superclasses >= len(self.superclass_names))
        ):
            raise DataError(f"item table: superclasses must be 0..{len(self.superclass_names) - 1}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of items of every class, ``[C]``."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)


def _require_length(name: str, values: Sized, other: str, others: Sized | None) -> None:
    if others is not None and len(values) != len(others):
        raise DataError(f"item table: {len(values)} {name}, {len(others)} {other}: lengths differ")


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file that the owner of a dataset offers.

    Attributes:
        name: File name under which it is kept, and by which a file that the user already has is recognised.
        url: Where the owner offers it: ``https://...``, ``npm:NAME@VERSION`` for the npm client or ``deb:NAME`` for
            apt-get; empty where a person must ask for it.
        checksum: ``"md5:..."`` or ``"sha256:..."`` of the whole file; empty where the owner's file has none that is
            known, which `prepare` then says.
        folder: Where in the dataset's folder it is unpacked; empty for the top.
        nested: Whether it is an archive of tars, each of which is unpacked into a folder of its name.
        optional: Whether the dataset can do without: it is taken where the user has it, and not fetched or asked for.
        within: Folders in which the owner's download has it, if not side by side with the others: it is looked for in
            them too where the user names a folder.
    """

    name: str
    url: str = ""
    checksum: str = ""
    folder: str = ""
    nested: bool = False
    optional: bool = False
    within: tuple[str, ...] = ()

    @property
    def on_request(self) -> bool:
        """Whether a person must get it: it is needed, and nothing can fetch it."""
        return not (self.url or self.optional)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a complete dataset holds.

    Attributes:
        classes: Number of classes.
        items: Number of items.
    """

    classes: int
    items: int


class Dataset(ABC):
    """A dataset plugin: subclass, fill in the three members, name the class in the group ``mlbench.datasets``.

    The constructor's arguments are the dataset's configuration. One that lies in files takes
    ``path: str | None = None``: the folder in its owner's layout, by default where ``mlbench datasets prepare`` put it.
    `table_dataset` makes such a class from two functions.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo()
    #: Licence of the data, and how to cite it.
    licence: ClassVar[str] = ""
    #: What its owner offers, if it can be prepared from that.
    archives: ClassVar[tuple[Archive, ...]] = ()
    #: What the complete dataset holds, where that is known: ``mlbench datasets verify`` counts.
    expected: ClassVar[Counts | None] = None

    @property
    @abstractmethod
    def items(self) -> ItemTable:
        """The item table."""

    @property
    def closed_set(self) -> bool:
        """Whether the owner's split is one for classification, with the same classes in train and test."""
        return False

    @property
    def vector_size(self) -> int | None:
        """Length D of the items if they are vectors; None if they are images."""
        return None

    @property
    def origin(self) -> str:
        """What the items were made of, if its id does not tell: leaderboards show it."""
        return ""

    @abstractmethod
    def load(self, index: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """Decode item ``index``: an image ``[H, W, C]`` uint8 with C = 1 or 3, or a vector ``[D]`` float32.

        Raises:
            DataError: If the item cannot be decoded; the message names it.
        """

    @property
    @abstractmethod
    def content_hash(self) -> str:
        """SHA-256 (hex) over everything that can change what ``items`` and ``load`` give; see `mlbench.api.digest`."""

    @classmethod
    def unpacked(cls, folder: Path) -> bool:
        """Whether a folder is plainly the unpacked dataset, by the names in it.

        By default none is, and `mlbench datasets prepare --from FOLDER` takes a folder for archives if any file in it
        is named like one. Override it where unpacked files bear such names, as annotations do that are no archives.
        """
        return False

    @classmethod
    def build_prepared(cls, files: Path, target: Path, progress: Callable[[int, int], None]) -> None:
        """Make the prepared folder from the archives; override it where unpacking them is not enough.

        By default `mlbench datasets prepare` unpacks every archive into the folder.

        Args:
            files: A folder that holds the dataset's `archives` under their names, their checksums verified, those that
                are optional only if the user has them. Read-only.
            target: An empty folder to fill. It becomes the prepared folder only when this returns; the constructor's
                ``path`` is then this folder.
            progress: To be called with what is done and what there is to do, in any unit.

        Raises:
            DataError: If the archives do not hold what they should, or something needed is not installed.
        """
        raise NotImplementedError
