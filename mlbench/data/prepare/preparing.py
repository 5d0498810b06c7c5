"""One dataset made ready: archives found or fetched, unpacked or built, counted, and only then called prepared."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock, Timeout

from mlbench.api.dataset import Archive, Dataset
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest
from mlbench.data.classic.layout import WrongFolder
from mlbench.data.prepare.checksum import check
from mlbench.data.prepare.disk import explained
from mlbench.data.prepare.fetching import fetch
from mlbench.data.prepare.given import given_files, require_preparable, require_same
from mlbench.data.prepare.location import MANIFEST, data_root, dataset_folder, prepared, read_manifest
from mlbench.data.prepare.unpacking import unpack
from mlbench.data.prepare.verifying import complete

#: Told what is being done, and how much of how much is done (0: unknown).
Watch: TypeAlias = Callable[[str, int, int], None]


def prepare(
    name: str,
    dataset: type[Dataset],
    source: str | None = None,
    *,
    again: bool = False,
    watch: Watch = lambda what, done, total: None,
) -> Path:
    """Prepare a dataset, or find that it is; of several processes that try at once, one does it.

    Args:
        name: Its bare id.
        dataset: Its class.
        source: What the user already has: one of its archives, a folder with some of them, or the folder of the
            unpacked dataset, which is then used where it lies. What is missing is fetched, unless it is optional.
        again: Prepare it anew although it is prepared.
        watch: Is told how it goes on.

    Returns:
        The folder that holds the dataset.

    Raises:
        DataError: If something is missing, damaged or other than expected, if a disk is full or cannot be written, or
            if it was prepared from something else than ``source``.
            Nothing that looks prepared is left; downloads are kept, and the next try goes on from there.
    """
    require_preparable(name, dataset)
    given = given_files(name, dataset, source)
    folder = data_root() / name
    if again or not prepared(name):
        work = data_root() / ".work" / name
        with _alone(work, watch):
            if again or not prepared(name):
                if isinstance(given, Path):
                    staging, manifest = _where_it_lies(name, dataset, given, work, watch)
                else:
                    staging, manifest = _from_archives(name, dataset, given, work, watch)
                _commit(staging, folder, manifest)
                shutil.rmtree(work, ignore_errors=True)
                return dataset_folder(name)
    require_same(name, dataset, given)
    return dataset_folder(name)


def _where_it_lies(
    name: str, dataset: type[Dataset], given: Path, work: Path, watch: Watch
) -> tuple[Path, dict[str, Any]]:
    """An unpacked dataset stays where it lies: a folder for its manifest alone, unless it lies where that goes."""
    try:
        manifest = _manifest(name, dataset, given, watch)
    except WrongFolder as error:
        raise DataError(f"{error.found}; name {error.right} with --from") from None
    folder, own = data_root() / name, given.resolve()
    if own.is_relative_to(folder.resolve()):
        return folder, manifest | {"folder": str(own)}
    _require_ours(folder)
    return _empty(work / "elsewhere"), manifest | {"folder": str(own)}


def _from_archives(
    name: str, dataset: type[Dataset], given: Mapping[str, Path], work: Path, watch: Watch
) -> tuple[Path, dict[str, Any]]:
    """A complete dataset in a folder of its own, and its manifest."""
    _require_ours(data_root() / name)
    archives = [one for one in dataset.archives if one.name in given or not one.optional]
    files = _collected(name, archives, given, work, watch)
    notes = {}
    for one in archives:
        watch(f"checking {one.name}", 0, 0)
        notes[one.name] = check(files / one.name, one.checksum)
    staging = work / f"staging-{digest([*notes, *notes.values()])[:8]}"
    with explained(staging):
        if builds(dataset):
            dataset.build_prepared(files, _empty(staging), partial(watch, f"building {name}"))
        else:
            for one in archives:
                (staging / one.folder).mkdir(parents=True, exist_ok=True)
                told = partial(watch, f"unpacking {one.name}")
                unpack(files / one.name, staging / one.folder, told, nested=one.nested)
    try:
        return staging, _manifest(name, dataset, staging, watch) | {"archives": notes}
    except DataError:
        shutil.rmtree(staging)  # it would be found incomplete again
        raise


def builds(dataset: type[Dataset]) -> bool:
    """Whether unpacking its archives is not enough."""
    return getattr(dataset.build_prepared, "__func__", None) is not getattr(Dataset.build_prepared, "__func__", None)


def _collected(name: str, archives: Sequence[Archive], given: Mapping[str, Path], work: Path, watch: Watch) -> Path:
    """A folder with all archives under their names: links to what the user has, and what is fetched for the rest."""
    missing = [one for one in archives if one.name not in given]
    if not archives:
        raise DataError(f"{name}: has nothing to fetch; see `mlbench datasets show {name}`")
    if asked := [one.name for one in missing if one.on_request]:
        raise DataError(
            f"{name}: its owner gives {', '.join(asked)} on request only; get it and name its folder with --from"
        )
    with explained(work):
        downloads, files = work / "downloads", _empty(work / "files")
        downloads.mkdir(exist_ok=True)
        for one in missing:
            _link(fetch(one, downloads, partial(watch, f"fetching {one.name}")), files / one.name)
        for archive, file in given.items():
            _link(file, files / archive)
    return files


def _manifest(name: str, dataset: type[Dataset], folder: Path, watch: Watch) -> dict[str, Any]:
    watch(f"checking {name}", 0, 0)
    found = complete(name, dataset, folder)
    return {
        "format": 1,
        "dataset": name,
        "prepared": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": len(found.items.class_names),
        "items": len(found.items),
        "content": found.content_hash,
    }


def _commit(staging: Path, folder: Path, manifest: dict[str, Any]) -> None:
    """The manifest last, then one rename: there is never a folder that only looks finished."""
    with explained(folder):
        if hasattr(os, "sync"):
            os.sync()  # what the manifest vouches for reaches the disk first
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        if staging == folder:
            return
        if folder.exists():
            folder.rename(_empty(staging.with_name("replaced")) / folder.name)
        staging.rename(folder)


def _require_ours(folder: Path) -> None:
    """What the user put where prepared datasets lie is not replaced, as that would remove it."""
    ours = "archives" in (read_manifest(folder) or {})
    if not ours and folder.is_dir() and set(os.listdir(folder)) - {MANIFEST}:
        raise DataError(
            f"{folder}: holds files that were not prepared; name it with --from to use it as it is, or move it away"
        )


def _alone(work: Path, watch: Watch) -> AbstractContextManager[Any]:
    with explained(work):
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work.with_name(f"{work.name}.lock"))
        try:
            held: AbstractContextManager[Any] = lock.acquire(timeout=0)
        except Timeout:
            watch(f"waiting for another process that prepares {work.name}", 0, 0)
            held = lock.acquire()
        work.mkdir(parents=True, exist_ok=True)  # the other one has tidied up
    return held


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _link(file: Path, name: Path) -> None:
    try:
        name.symlink_to(file.resolve())
    except OSError:  # Windows asks for a privilege
        shutil.copyfile(file, name)
