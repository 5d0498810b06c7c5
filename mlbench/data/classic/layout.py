"""Whether a folder is what the owner's archives unpack into, and if not, what to do."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from mlbench.api.errors import DataError

#: Files and folders that must be there, relative to the dataset's folder.
Layout: TypeAlias = tuple[str, ...]

_SHOWN = 6


def find_folder(id: str, folder: Path, top: str, layouts: Sequence[Layout]) -> Path:
    """``folder``, or ``top`` in it, whichever has one of ``layouts``.

    Args:
        id: The dataset's bare id.
        folder: What the user named, or where the dataset was prepared.
        top: Name of the folder that the owner's archive unpacks into; empty for none.
        layouts: Each is enough.

    Raises:
        DataError: If neither has one; says what is missing and what is there, and names a sub-folder that would do.
    """
    for candidate in (folder, folder / top):
        if any(not _missing(candidate, layout) for layout in layouts):
            return candidate
    inside = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    deeper = [name for name in inside if any(not _missing(folder / name, layout) for layout in layouts)]
    nearest = folder / top if top in inside else folder
    missing = min((_missing(nearest, layout) for layout in layouts), key=len)
    remedy = f"set `path` to {folder / deeper[0]}" if deeper else "set `path` to the folder that the archives unpack into"
    raise DataError(
        f"{id}: {nearest} lacks {', '.join(missing)}; it has {_listed(sorted(_names(nearest)))}; {remedy}"
    )


def first_existing(folder: Path, *names: str) -> Path | None:
    """The first of ``names`` that is in ``folder``."""
    return next((folder / name for name in names if (folder / name).exists()), None)


def _missing(folder: Path, layout: Layout) -> list[str]:
    return [name for name in layout if not (folder / name).exists()]


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(ascii_name, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "nothing"


def ascii_name(name: str) -> str:
    """A file name as it can be printed anywhere, whatever its bytes."""
    return name.encode("utf-8", "backslashreplace").decode()
