"""Where prepared datasets lie, and how a dataset finds its own."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlbench.api.dataset import Archive
from mlbench.api.errors import DataError
from mlbench.data.cache import cache_folder

#: Written last: a folder with it is finished, one without is not there.
MANIFEST = ".mlbench-prepared.json"


def data_root() -> Path:
    """``$MLBENCH_DATA``, else ``datasets`` in the cache folder.

    Raises:
        DataError: If there is neither that variable nor a home folder.
    """
    if own := os.environ.get("MLBENCH_DATA"):
        return Path(own).expanduser()
    try:
        return cache_folder() / "datasets"
    except RuntimeError:
        raise DataError("datasets: there is no home folder to keep them in; set MLBENCH_DATA to a folder") from None


def dataset_folder(id: str, path: str | None = None, archives: Sequence[Archive] = ()) -> Path:
    """The folder that holds a dataset's files.

    Args:
        id: The dataset's bare id, ``"cub200"``.
        path: What the user configured; by default where ``mlbench datasets prepare`` put it.
        archives: What its owner offers, so that the error can say which of them a person must get.

    Raises:
        DataError: If nothing is there; says how to get it.
    """
    if path is not None:
        return _configured(id, Path(path).expanduser())
    folder = data_root() / id
    manifest = read_manifest(folder)
    if manifest is None:
        command = f"`mlbench datasets prepare {id}"
        remedy = f"{command}` fetches it, {command} --from PATH` takes files that you have"
        if asked := [one.name for one in archives if one.on_request]:
            remedy = f"its owner gives {', '.join(asked)} on request only; {command} --from PATH` takes what you got"
        raise DataError(f"{id}: not prepared (nothing finished in {folder}); {remedy}")
    elsewhere = manifest.get("folder")
    if elsewhere is None:
        return folder
    if not Path(elsewhere).is_dir():
        raise DataError(
            f"{id}: was prepared from {elsewhere}, which is gone; `mlbench datasets prepare {id} --from PATH` says "
            "where it lies now"
        )
    return Path(elsewhere)


def prepared(id: str) -> bool:
    """Whether a dataset is there to be read."""
    manifest = read_manifest(data_root() / id)
    return manifest is not None and ("folder" not in manifest or Path(manifest["folder"]).is_dir())


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What `prepare` noted when it had finished ``folder``, or None where it has not."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def _configured(id: str, folder: Path) -> Path:
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{id}: path = {folder} {what}; set it to the folder of the unpacked dataset")
    return folder
