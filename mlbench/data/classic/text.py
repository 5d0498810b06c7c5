"""Annotation files in plain text: rows of fields between spaces."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mlbench.api.errors import DataError

Columns: TypeAlias = Mapping[str, Callable[[str], Any]]


def read_table(path: Path, columns: Columns, *, skip: int = 0) -> list[tuple[Any, ...]]:
    """The rows of a text file whose fields are separated by white space; empty lines and comments (#) are passed over.

    Args:
        path: The file.
        columns: Name of every column, for messages, and what makes its value of a field; a ``ValueError`` of it is
            reported with the line.
        skip: Lines of head to pass over.

    Returns:
        A tuple of values per row.

    Raises:
        DataError: If the file is missing, is no UTF-8, holds no rows, or a row does not have these columns; names file
            and line.
    """
    rows = [row for number, line in _lines(path) if number > skip and (row := _row(path, number, line, columns))]
    if not rows:
        raise DataError(f"{path}: holds no rows; is the file whole?")
    return rows


def read_counted(path: Path, columns: Columns) -> list[tuple[Any, ...]]:
    """A table whose first line says how many rows follow the second, a head; see `read_table`."""
    (count,) = next((_row(path, number, line, {"number of rows": int}) for number, line in _lines(path)), (0,))
    rows = read_table(path, columns, skip=2)
    if len(rows) != count:
        raise DataError(f"{path}: holds {len(rows):,} rows, but its first line says {count:,}; is the file whole?")
    return rows


class Keyed(dict[int, tuple[Any, ...]]):
    """The rows of a table by their number; asking for one that is not there is a `DataError` that names the file."""

    def __init__(self, path: Path, thing: str, rows: dict[int, tuple[Any, ...]]) -> None:
        super().__init__(rows)
        self._path = path
        self._thing = thing

    def __missing__(self, key: int) -> tuple[Any, ...]:
        raise DataError(f"{self._path}: has no row for {self._thing} {key}; is the file whole?")


def read_keyed(path: Path, thing: str, columns: Columns) -> Keyed:
    """A table whose first column numbers a ``thing``, each once; see `read_table`."""
    rows = read_table(path, {f"{thing} number": int, **columns})
    keyed = Keyed(path, thing, {number: tuple(values) for number, *values in rows})
    if len(keyed) != len(rows):
        raise DataError(f"{path}: {len(rows) - len(keyed):,} of its {len(rows):,} rows repeat the number of another")
    return keyed


def _row(path: Path, number: int, line: str, columns: Columns) -> tuple[Any, ...]:
    """The values in a line; none if it is empty or a comment."""
    fields = line.split()
    if not fields or line.startswith("#"):
        return ()
    try:
        return tuple(read(field) for read, field in zip(columns.values(), fields, strict=True))
    except ValueError:
        what = f"expected {', '.join(columns)}; got {' '.join(fields)[:120]!r}"
        raise DataError(f"{path}:{number}: {what}; is the file whole?") from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_bytes(path).splitlines(), start=1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{path}:{number}: is not UTF-8: {line[:80]!r}; save the file as UTF-8") from None


def read_bytes(path: Path) -> bytes:
    """A whole annotation file.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def finite(field: str) -> float:
    """A column of numbers, none of them infinite or NaN."""
    if not math.isfinite(number := float(field)):
        raise ValueError(field)
    return number


def one_of(*allowed: str) -> Callable[[str], str]:
    """A column that knows these values only."""

    def read(field: str) -> str:
        if field not in allowed:
            raise ValueError(field)
        return field

    return read
