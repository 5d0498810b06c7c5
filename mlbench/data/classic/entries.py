"""From one entry per image to an item table."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError

#: Left, top, right, bottom in pixels; right and bottom are the first column and row outside.
Box: TypeAlias = tuple[int, int, int, int]


class Entry(NamedTuple):
    """What an annotation says about one image.

    Attributes:
        id: Its name in the dataset, unique.
        order: Sorts the classes; equal within a class.
        name: Name of the class.
        split: ``"train"``, ``"val"``, ``"test"`` or ``""``.
        role: ``"query"``, ``"gallery"`` or ``""``.
        superclass: Name of the superclass, empty for none. That of a class is the one of its first entry.
        box: The object, if its place is known.
    """

    id: str
    order: int | str
    name: str
    split: str = ""
    role: str = ""
    superclass: str = ""
    box: Box | None = None


def item_table(entries: Sequence[Entry]) -> ItemTable:
    """The item table of ``entries``, in their order; classes sorted by `Entry.order`, superclasses by name.

    A column in which every entry is empty is None; boxes are there only if every entry has one.

    Raises:
        DataError: If an id occurs twice or is no text.
    """
    if stray := next((entry.id for entry in entries if not _is_text(entry.id)), None):
        # Records and tables name items; a name that is no text could not be written into them.
        raise DataError(f"the file name {stray!r} is not valid UTF-8; rename it")
    firsts: dict[int | str, Entry] = {}
    for entry in entries:
        firsts.setdefault(entry.order, entry)
    orders = sorted(firsts)
    label = {order: index for index, order in enumerate(orders)}
    above = sorted({entry.superclass for entry in firsts.values()} - {""})
    boxes = [entry.box for entry in entries if entry.box is not None]
    return ItemTable(
        ids=tuple(entry.id for entry in entries),
        labels=np.array([label[entry.order] for entry in entries], np.int64),
        class_names=tuple(firsts[order].name for order in orders),
        splits=_unless_empty(tuple(entry.split for entry in entries)),
        roles=_unless_empty(tuple(entry.role for entry in entries)),
        superclasses=np.array([above.index(firsts[order].superclass) for order in orders], np.int64) if above else None,
        superclass_names=tuple(above),
        boxes=np.array(boxes, np.int64) if len(boxes) == len(entries) else None,
    )


def _unless_empty(values: tuple[str, ...]) -> tuple[str, ...] | None:
    return values if any(values) else None


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
