"""Whether a dataset in files is all there and as it was."""

from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from mlbench.api.dataset import Dataset
from mlbench.api.errors import DataError
from mlbench.data.content import rereading
from mlbench.data.prepare.location import data_root, dataset_folder, read_manifest

_SHOWN = 5


def place(name: str, dataset: type[Dataset], path: str | None = None) -> Path | None:
    """Where a dataset lies: ``path``, else where it was prepared; None if it needs no files.

    Raises:
        DataError: If there is nothing, or it is the user's own and ``path`` is missing.
    """
    parameter = signature(dataset).parameters.get("path")
    if parameter is None:
        if path is not None:
            raise DataError(f"{name}: needs no files, so it has no path")
        return None
    if parameter.default is not Parameter.empty:
        return dataset_folder(name, path, dataset.archives)
    if path is None:
        raise DataError(f"{name}: is yours, wherever it lies: give its --path")
    return Path(path).expanduser()


def complete(name: str, dataset: type[Dataset], folder: Path | None) -> Dataset:
    """The dataset, with its classes and items counted.

    Args:
        name: Its bare id.
        dataset: Its class.
        folder: Where it lies; None for a dataset that needs no files.

    Raises:
        DataError: If it cannot be read, or holds other numbers than its owner's.
    """
    # The contract of a dataset in files, which the base class cannot say: its constructor takes `path`.
    make: Callable[..., Dataset] = dataset
    try:
        found = make() if folder is None else make(path=str(folder))
        items = found.items
    except OSError as error:
        raise DataError(f"{name}: {folder} does not hold the dataset: {error}") from None
    classes, expected = len(items.class_names), dataset.expected
    if expected and (classes, len(items)) != (expected.classes, expected.items):
        raise DataError(
            f"{name}: {folder} holds {classes:,} classes and {len(items):,} items, the complete dataset "
            f"{expected.classes:,} and {expected.items:,}; get it again, or compare the folder with its owner's"
        )
    return found


def verify(
    name: str,
    dataset: type[Dataset],
    path: str | None = None,
    *,
    deep: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Count classes and items, hash the content, and compare both with what is known.

    Every file is read, also those that have not changed since their hash was remembered.

    Args:
        name: Its bare id.
        dataset: Its class.
        path: Where it lies; by default where it was prepared.
        deep: Decode every item as well.
        progress: Called with items decoded and in all.

    Returns:
        ``folder``, ``classes``, ``items``, ``content``, and what content and counts were compared with.

    Raises:
        DataError: If something is missing, changed or cannot be decoded; names the first few.
    """
    folder = place(name, dataset, path)
    found = complete(name, dataset, folder)
    with rereading():
        content = found.content_hash
    noted = (read_manifest(data_root() / name) or {}).get("content") if folder and path is None else None
    if noted not in (None, content):
        raise DataError(
            f"{name}: the content of {folder} is not what was prepared (hash {content[:12]}, was {str(noted)[:12]}): "
            f"files have changed; `mlbench datasets prepare {name} --again` restores them, and with "
            f"--from {folder} takes them as they are"
        )
    if deep:
        _decode(name, found, progress)
    return {
        "folder": str(folder) if folder else None,
        "classes": len(found.items.class_names),
        "items": len(found.items),
        "content": content,
        "counts_known": dataset.expected is not None,
        "content_known": noted is not None,
        "decoded": deep,
    }


def _decode(name: str, dataset: Dataset, progress: Callable[[int, int], None]) -> None:
    ids = dataset.items.ids
    failures = []
    for index, item in enumerate(ids):
        try:
            dataset.load(index)
        except (DataError, OSError) as error:
            failures.append(str(error) or f"{item}: {type(error).__name__}")
        progress(index + 1, len(ids))
    if failures:
        shown = "\n  ".join(failures[:_SHOWN])
        rest = f"\n  and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
        raise DataError(f"{name}: {len(failures)} of {len(ids)} items cannot be decoded:\n  {shown}{rest}")
