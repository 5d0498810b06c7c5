"""What was measured, as files and as tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .case import OURS, PRODUCT, Bar, Case, Shape
from .rows import NAMES, Contestant, Row, from_json, to_json


@dataclass
class Results:
    """The rows of one device.

    Attributes:
        kind: "cpu" or "cuda".
        environment: on what they were measured.
        rows: in the order of measuring.
    """

    kind: str
    environment: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def save(self, json_file: Path | None, csv_file: Path | None) -> None:
        """Write the files that are asked for, each in one step."""
        if json_file:
            content = {
                "kind": self.kind, "environment": self.environment, "rows": [to_json(row) for row in self.rows],
            }  # fmt: skip
            _replace(json_file, json.dumps(content, indent=1) + "\n")
        if csv_file:
            text = io.StringIO()
            writer = csv.DictWriter(text, NAMES, lineterminator="\n")
            writer.writeheader()
            writer.writerows(to_json(row) for row in self.rows)
            _replace(csv_file, text.getvalue())

    @classmethod
    def load(cls, file: Path) -> Results:
        """Read a JSON file that `save` wrote."""
        content = json.loads(file.read_text(encoding="utf-8"))
        return cls(content["kind"], content["environment"], [from_json(row) for row in content["rows"]])

    def put(self, rows: Sequence[Row]) -> None:
        """Add the rows of a case at a shape, in the place of older ones."""
        groups = {(row.operation, row.shape) for row in rows}
        old = [(row.operation, row.shape) in groups for row in self.rows]
        at = old.index(True) if any(old) else len(old)
        kept = [row for row, gone in zip(self.rows, old, strict=True) if not gone]
        self.rows = [*kept[:at], *rows, *kept[at:]]

    def find(self, operation: str, contestant: Contestant, shape: Shape) -> Row | None:
        """The row of a participant, if it was measured."""
        wanted = (operation, *contestant, shape)
        return next((row for row in self.rows if row.key == wanted), None)


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def table(lines: Iterable[Sequence[str]]) -> str:
    """Markdown, the first line its head."""
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + " --- |" * (head.count(" | ") + 1), *body])


def measured_table(rows: Iterable[Row]) -> str:
    """Every row."""
    head = ("operation", "N", "D", "per class", "who", "precision", "ms (20–80 %)", f"of {PRODUCT}", "MiB", "check")
    return table([head, *(_measured(row) for row in rows)])


def _measured(row: Row) -> tuple[str, ...]:
    return (
        row.operation,
        f"{row.count:,}",
        str(row.dimension),
        f"{row.shape.per_class:.3g}",
        row.provider,
        row.precision,
        row.error or f"{_ms(row.seconds)} ({_ms(row.seconds_20)}–{_ms(row.seconds_80)})",
        "" if row.product_share is None else f"{row.product_share:.0%}",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:,.0f}",
        _check(row),
    )


def _check(row: Row) -> str:
    if row.checked is None:
        return ""
    return f"{'WRONG: ' if row.wrong else ''}{row.differ} of {row.checked:,} differ"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:,.3g}" if seconds < 1 else f"{seconds * 1e3:,.0f}"


def bar_table(cases: Iterable[Case], results: Sequence[Results], device: str | None = None) -> str:
    """Every bar beside what was found; "open" where nobody measured.

    Args:
        cases: whose bars.
        results: of any devices.
        device: "cpu" or "cuda" for those bars alone.
    """
    lines = [("operation", "N", "D", "precision", "bar", "on", "found", "verdict")]
    for case in cases:
        for bar in case.bars:
            if device in (None, bar.device):
                found = [_judged(case.operation, bar, result) for result in results if result.kind == bar.device]
                for where, what, verdict in found or [({"cpu": "a CPU", "cuda": "a GPU"}[bar.device], "", "open")]:
                    problem = (case.operation, f"{bar.shape.count:,}", str(bar.shape.dimension), bar.precision)
                    lines.append((*problem, describe(bar), where, what, verdict))
    return table(lines)


def describe(bar: Bar) -> str:
    """A bar in words.

    >>> from .case import fours
    >>> describe(Bar("cpu", fours(1024), "speed", 4, "BatchHardMiner"))
    'at least 4× the speed of BatchHardMiner'
    >>> describe(Bar("cpu", fours(1024), "memory", 64 << 20))
    'at most 64 MiB above the inputs'
    """
    if bar.quantity == "differ":
        return f"at most {bar.limit:.0f} picks unlike float64's"
    if bar.against is not None:
        how = "at least" if bar.quantity == "speed" else "at most"
        return f"{how} {bar.limit:g}× the {bar.quantity} of {bar.against}"
    if bar.quantity == "memory":
        return f"at most {bar.limit / 2**20:,.0f} MiB above the inputs"
    return f"at most {bar.limit * 1e3:g} ms"


def _judged(operation: str, bar: Bar, results: Results) -> tuple[str, str, str]:
    """Where, what was found, and "met", "missed" or "open"."""
    where = str(results.environment["device"])
    mine = results.find(operation, Contestant(OURS, bar.precision), bar.shape)
    value = None if mine is None else _quantity(bar, mine)
    if mine is None or value is None:
        return where, mine.error if mine else "", "missed" if mine and mine.failed else "open"
    if bar.against is None:
        shown = {"differ": f"{value:.0f}", "memory": f"{value / 2**20:,.1f} MiB"}.get(bar.quantity, f"{_ms(value)} ms")
        return where, shown, "met" if value <= bar.limit else "missed"
    other = results.find(operation, Contestant(bar.against, bar.other_precision or bar.precision), bar.shape)
    theirs = None if other is None else _quantity(bar, other)
    if other is None or theirs is None:
        return where, other.error if other else "", "open"
    ratio = theirs / value if bar.quantity == "speed" else value / theirs
    met = ratio >= bar.limit if bar.quantity == "speed" else ratio <= bar.limit
    unit = "MiB" if bar.quantity == "memory" else "ms"
    mine_shown, theirs_shown = (
        f"{part / 2**20:,.1f}" if bar.quantity == "memory" else _ms(part) for part in (value, theirs)
    )
    return where, f"{ratio:.2f}× ({mine_shown} and {theirs_shown} {unit})", "met" if met else "missed"


def _quantity(bar: Bar, row: Row) -> float | None:
    return {"memory": row.peak_bytes, "differ": row.differ}.get(bar.quantity, row.seconds)
