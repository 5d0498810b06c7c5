"""Whether a folder is what the owner's archives unpack into, and if not, what to do."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from mlbench.api.errors import DataError

#: Files and folders that must be there, relative to the dataset's folder.
Layout: TypeAlias = tuple[str, ...]

_SHOWN = 6


class WrongFolder(DataError):
    """A folder that is not in the owner's layout.

    Attributes:
        found: What it lacks, and what it has.
        right: The one to name instead.
    """

    def __init__(self, found: str, right: str) -> None:
        super().__init__(found, right)
        self.found = found
        self.right = right

    def __str__(self) -> str:
        return f"{self.found}; set `path` to {self.right}"


def find_folder(id: str, folder: Path, top: str, layouts: Sequence[Layout]) -> Path:
    """``folder``, or ``top`` in it, whichever has one of ``layouts``.

    Args:
        id: The dataset's bare id.
        folder: What the user named, or where the dataset was prepared.
        top: Name of the folder that the owner's archive unpacks into; empty for none.
        layouts: Each is enough.

    Raises:
        WrongFolder: If neither has one; says what is missing and what is there, and names a sub-folder that would do.
    """
    if (found := matching(folder, top, layouts)) is not None:
        return found
    raise _wrong(id, folder / top if (folder / top).is_dir() else folder, layouts)


def matching(folder: Path, top: str, layouts: Sequence[Layout]) -> Path | None:
    """``folder``, or ``top`` in it, whichever has one of ``layouts``; None if neither has."""
    candidates = (folder, folder / top)
    return next((place for place in candidates if any(not _missing(place, layout) for layout in layouts)), None)


def _wrong(id: str, folder: Path, layouts: Sequence[Layout]) -> WrongFolder:
    missing = min((_missing(folder, layout) for layout in layouts), key=len)
    inside = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    near = [*(folder / name for name in inside), folder.parent]
    better = next((place for place in near if any(not _missing(place, layout) for layout in layouts)), None)
    found = f"{id}: {folder} lacks {', '.join(missing)}; it has {_listed(inside)}"
    return WrongFolder(found, str(better or "the folder that the archives unpack into"))


def first_existing(folder: Path, *names: str) -> Path:
    """The first of ``names`` that is in ``folder``; where none is, the first of all."""
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])


def _missing(folder: Path, layout: Layout) -> list[str]:
    return [name for name in layout if not (folder / name).exists()]


def _listed(names: list[str]) -> str:
    # A name that is no UTF-8 is shown by its bytes: the message must print anywhere.
    shown = ", ".join(names[:_SHOWN]).encode("utf-8", "backslashreplace").decode()
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "nothing"
