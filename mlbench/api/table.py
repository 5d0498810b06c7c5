"""A dataset from two functions, for those who need no class of their own."""

import inspect
import typing
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import DataError
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo


def table_dataset(
    items: Callable[..., ItemTable],
    load: Callable[..., npt.NDArray[np.uint8]],
    *,
    info: ComponentInfo | None = None,
    licence: str = "",
    content: Callable[..., str] | None = None,
) -> type[Dataset]:
    """A dataset class from an item table and a loader; name it in the group ``mlbench.datasets``.

    Args:
        items: Gives the item table. Its arguments are the dataset's configuration; annotate them.
        load: Decodes an item to ``[H, W, C]`` uint8 with C = 1 or 3: gets the item's id, then the same arguments by
            name.
        info: The declaration; by default the first line of the docstring of ``items`` is its summary.
        licence: Of the data.
        content: Gives the content hash, from the same arguments: the files' checksum, perhaps. By default every item is
            loaded once and hashed.

    >>> def items(classes: int = 2) -> ItemTable:
    ...     names = tuple(f"class {c}" for c in range(classes))
    ...     return ItemTable(ids=names, labels=np.arange(classes), class_names=names)
    >>> def load(name: str, classes: int) -> npt.NDArray[np.uint8]:
    ...     return np.zeros((8, 8, 1), dtype=np.uint8)
    >>> Blank = table_dataset(items, load)  # in pyproject.toml: blank = "my_package:Blank"
    >>> len(Blank(classes=3).items), Blank(classes=3).load(0).shape
    (3, (8, 8, 1))
    """
    signature = inspect.signature(items)
    summary = (items.__doc__ or "").strip().partition("\n")[0]
    declared, terms = info or ComponentInfo(summary=summary), licence

    class TableDataset(Dataset):
        info = declared
        licence = terms

        def __init__(self, *values: Any, **named: Any) -> None:
            bound = signature.bind(*values, **named)
            bound.apply_defaults()
            self._arguments = dict(bound.arguments)

        @cached_property
        def items(self) -> ItemTable:
            return items(**self._arguments)

        def load(self, index: int) -> npt.NDArray[np.uint8]:
            name = self.items.ids[index]
            try:
                return _checked(load(name, **self._arguments))
            except Exception as error:
                raise DataError(f"item {name!r} cannot be loaded: {error}") from error

        @cached_property
        def content_hash(self) -> str:
            return content(**self._arguments) if content else _content(self)

    # The harness reads a constructor's schema from its signature and annotations.
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    init: Any = TableDataset.__init__
    init.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])
    init.__annotations__ = {n: hint for n, hint in typing.get_type_hints(items).items() if n != "return"}
    TableDataset.__module__ = items.__module__
    return TableDataset


def _checked(image: Any) -> npt.NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"expected an array [H, W, C] of uint8 with 1 or 3 channels, got {found}")
    return image


def _content(dataset: Dataset) -> str:
    table = dataset.items
    images = (dataset.load(index) for index in range(len(table)))
    texts = (repr(part) for part in (table.ids, table.class_names, table.views))
    return digest(part for group in (texts, [table.labels], images, _named(table)) for part in group)


def _named(table: ItemTable) -> Iterator[str | npt.NDArray[np.int64]]:
    """The columns that a table need not have, each after its name: one without them hashes as it did before."""
    for name in ("splits", "roles", "superclasses", "superclass_names", "boxes"):
        column = getattr(table, name)
        if column is not None and len(column):
            yield from (name, column if isinstance(column, np.ndarray) else repr(column))
