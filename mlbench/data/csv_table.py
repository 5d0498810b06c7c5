"""Any images that a CSV file lists, with all that an item table can say of them."""

import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NoReturn

from mlbench.api.errors import DataError
from mlbench.api.info import ComponentInfo
from mlbench.data.classic.boxed import Boxed
from mlbench.data.classic.entries import Box, Entry
from mlbench.data.classic.text import read_bytes

_CORNERS = ("x1", "y1", "x2", "y2")
_REQUIRED = ("path", "label")
_COLUMNS = (*_REQUIRED, "split", "role", "superclass", *_CORNERS)
_ALLOWED = {"split": ("train", "val", "test"), "role": ("query", "gallery", "")}

Row = dict[str, str]


class Csv(Boxed):
    """The images that a CSV file lists, a row each, in the order of its rows.

    The first line names the columns, in any order. ``path`` (absolute, or relative to the file's folder) and ``label``
    are needed. There may be ``split`` (``train``, ``val`` or ``test``), ``role`` (``query``, ``gallery`` or empty),
    ``superclass`` (one for a class), and ``x1``, ``y1``, ``x2``, ``y2``: left, top, right and bottom of a box in
    pixels, the last column and row outside. Fields are in UTF-8, between commas. Classes are in ascending order of
    their labels: as numbers if all are whole numbers, else as texts.

    The content hash covers paths as they are written: with relative ones, the folder can move.

    Args:
        path: The file.
        crop_boxes: Cut every image to its box.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Your own images: a CSV file with path, label, and split, role, superclass or box where you have them",
        tags=("rgb", "files"),
    )
    licence: ClassVar[str] = "as the images"
    id: ClassVar[str] = "csv"

    def __init__(self, path: str, crop_boxes: bool = False) -> None:
        super().__init__(crop_boxes)
        self._table = Path(path).expanduser()

    def _file(self, name: str) -> Path:
        return self._table.parent / name

    def _entries(self) -> Sequence[Entry]:
        rows = list(self._rows())
        numeric = all(re.fullmatch("0|-?[1-9][0-9]*", row["label"]) for _, row in rows)
        first_line: dict[str, int] = {}
        above: dict[str, str] = {}
        entries = []
        for line, row in rows:
            path, label = row["path"], row["label"]
            if (first := first_line.setdefault(path, line)) != line:
                self._fail(line, f"{path!r} is in line {first} already; an image has one row")
            if (other := above.setdefault(label, row["superclass"])) != row["superclass"]:
                self._fail(
                    line, f"class {label!r} is of superclass {row['superclass']!r} here, and of {other!r} before"
                )
            order = int(label) if numeric else label
            named = {"superclass": row["superclass"], "split": row["split"], "role": row["role"]}
            entries.append(Entry(id=path, order=order, name=label, box=self._box(line, row), **named))
        return entries

    def _rows(self) -> Iterator[tuple[int, Row]]:
        """Line number and all columns of every row, checked one by one; an absent column is empty."""
        reader = csv.reader(io.StringIO(self._text, newline=""), strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            self._check_header(header)
            for fields in reader:
                if fields:
                    yield reader.line_num, dict.fromkeys(_COLUMNS, "") | self._checked(reader.line_num, header, fields)
        except csv.Error as error:
            self._fail(reader.line_num, f"{error}; is the file whole?")
        if reader.line_num < 2:
            self._fail(1, "there are no rows below the header")

    @cached_property
    def _text(self) -> str:
        content = read_bytes(self._table)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._fail(content.count(b"\n", 0, error.start) + 1, "is not UTF-8; save the file as UTF-8")

    def _check_header(self, header: list[str]) -> None:
        if len(header) == 1 and (other := set(header[0]) & set(";\t|")):
            self._fail(1, f"fields are separated by {min(other)!r}, not by commas; save the file with commas")
        for name in header:
            if name not in _COLUMNS:
                near = difflib.get_close_matches(name, _COLUMNS, 1)
                hint = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(_COLUMNS)}"
                self._fail(1, f"unknown column {name!r}; {hint}")
            if header.count(name) > 1:
                self._fail(1, f"column {name!r} is there twice")
        some = [name for name in _CORNERS if name in header]
        for name in _REQUIRED + (_CORNERS if some else ()):
            if name not in header:
                self._fail(1, f"column {name!r} is missing; it has {', '.join(header) or 'none'}")

    def _checked(self, line: int, header: list[str], fields: list[str]) -> Row:
        if len(fields) != len(header):
            self._fail(line, f"{len(fields)} fields, but {len(header)} columns")
        row = {name: field.strip() for name, field in zip(header, fields, strict=True)}
        for name, value in row.items():
            allowed = _ALLOWED.get(name)
            if allowed is not None and value not in allowed:
                choice = ", ".join(text or "empty" for text in allowed)
                self._fail(
                    line, f"{name} {value!r}; allowed: {choice}" if value else f"{name} is empty; allowed: {choice}"
                )
            if allowed is None and not value:
                self._fail(line, f"{name} is empty")
        return row

    def _box(self, line: int, row: Row) -> Box | None:
        if not row["x1"]:
            return None
        try:
            left, top, right, bottom = (int(row[name]) for name in _CORNERS)
        except ValueError:
            self._fail(line, f"a box has four whole numbers, not {', '.join(row[name] for name in _CORNERS)}")
        if not (0 <= left < right and 0 <= top < bottom):
            self._fail(line, f"the box {left}, {top}, {right}, {bottom} is not left < right, top < bottom, from 0")
        return left, top, right, bottom

    def _fail(self, line: int, message: str) -> NoReturn:
        raise DataError(f"{self._table}:{line}: {message}")
