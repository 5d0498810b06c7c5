"""What the user names with ``--from``, and whether that is what was prepared."""

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TypeAlias

from mlbench.api.dataset import Archive, Dataset
from mlbench.api.errors import DataError
from mlbench.data.prepare.checksum import check
from mlbench.data.prepare.location import data_root, read_manifest

#: Name -> file of the archives that the user has, or the folder of the unpacked dataset.
Given: TypeAlias = Mapping[str, Path] | Path


def given_files(name: str, dataset: type[Dataset], source: str | None) -> Given:
    """The archives or the unpacked dataset that ``source`` names; no archives if it is None.

    Raises:
        DataError: If ``source`` is neither.
    """
    if source is None:
        return {}
    path = Path(source).expanduser()
    names = [one.name for one in dataset.archives]
    if path.is_dir():
        return path if dataset.unpacked(path) else _archives_in(path, dataset.archives) or path
    if not path.is_file():
        raise DataError(f"{name}: --from {source}: no such file or folder")
    if path.name in names or len(names) == 1:
        return {path.name if path.name in names else names[0]: path}
    raise DataError(f"{name}: --from {source}: is none of its archives ({', '.join(names) or 'it has none'})")


def _archives_in(folder: Path, archives: Sequence[Archive]) -> dict[str, Path]:
    """Those that lie in a folder, or in the owner's folders in it."""
    found: dict[str, Path] = {}
    for one in archives:
        for inside in ("", *one.within):
            if (file := folder / inside / one.name).is_file():
                found.setdefault(one.name, file)
    return found


def require_preparable(name: str, dataset: type[Dataset]) -> None:
    """Refuse a dataset that needs no files, and one that lies wherever the user says.

    Raises:
        DataError: Says how a benchmark file names it.
    """
    parameter = signature(dataset).parameters.get("path")
    if parameter is None:
        raise DataError(f'{name}: needs no files, so it has nothing to fetch; a benchmark file says dataset = "{name}"')
    if parameter.default is Parameter.empty:
        raise DataError(
            f"{name}: is yours, wherever it lies, and is not prepared; a benchmark file says where: "
            f'dataset = {{ id = "{name}", path = "..." }}'
        )


def require_same(name: str, dataset: type[Dataset], given: Given) -> None:
    """Refuse what is not what was prepared: the user would believe that it is what runs use.

    Raises:
        DataError: If another folder is given, or an archive that was not taken.
    """
    folder = data_root() / name
    manifest = read_manifest(folder) or {}
    if isinstance(given, Path):
        same = given.resolve() in (folder.resolve(), Path(manifest.get("folder", folder)))
    else:
        # A file for which the owner has a checksum was the owner's then, and what is prepared is what it holds.
        unchecked = {one.name for one in dataset.archives if not one.checksum}
        notes = manifest.get("archives", {})
        same = all(
            one in notes and (one not in unchecked or check(file, "") == notes[one]) for one, file in given.items()
        )
    if not same:
        raise DataError(
            f"{name}: was prepared from {manifest.get('folder', 'other files')}, and is used as it is; "
            "--again prepares it anew from what --from names"
        )
