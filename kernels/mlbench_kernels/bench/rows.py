"""What was measured: one row for every participant of a group, in every precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from .case import OURS, PRODUCT, Shape


class Contestant(NamedTuple):
    """A participant in a precision."""

    provider: str
    precision: str


@dataclass(frozen=True)
class Row:
    """One participant of one group.

    Attributes:
        operation: of the case.
        provider: who.
        precision: in which it computed.
        count: N.
        dimension: D.
        classes: number of classes.
        seconds: median of a call.
        seconds_20: 20th percentile.
        seconds_80: 80th percentile.
        calls: calls that were timed.
        timer: "wall", "events" or "graph".
        peak_bytes: most memory above the inputs.
        product_share: time of the plain product in this precision over this time.
        checked: number of answers checked against float64; None: not checked.
        differ: those that are not float64's.
        excess: how much worse than the best any is.
        bound: what the precision explains.
        clock_mhz: of the GPU, right after.
        error: why there is nothing, or less.
    """

    operation: str
    provider: str
    precision: str
    count: int
    dimension: int
    classes: int
    seconds: float | None = None
    seconds_20: float | None = None
    seconds_80: float | None = None
    calls: int = 0
    timer: str = ""
    peak_bytes: int | None = None
    product_share: float | None = None
    checked: int | None = None
    differ: int | None = None
    excess: float | None = None
    bound: float | None = None
    clock_mhz: int | None = None
    error: str = ""

    @classmethod
    def of(cls, operation: str, contestant: Contestant, shape: Shape, **values: Any) -> Row:
        """A row with some values."""
        return cls(operation, *contestant, shape.count, shape.dimension, shape.classes, **values)

    @property
    def shape(self) -> Shape:
        """The size of its problem."""
        return Shape(self.count, self.dimension, self.classes)

    @property
    def key(self) -> tuple[str, str, str, Shape]:
        """What no other row has."""
        return self.operation, self.provider, self.precision, self.shape

    @property
    def wrong(self) -> bool:
        """Whether the check found what rounding does not explain."""
        return self.excess is not None and self.bound is not None and not self.excess <= self.bound

    @property
    def failed(self) -> bool:
        """Whether one of ours did not run or is wrong. That a peer cannot is a finding."""
        return self.provider.startswith(OURS) and (bool(self.error) or self.wrong)


NAMES = tuple(field.name for field in fields(Row))


def with_shares(rows: list[Row]) -> list[Row]:
    """The rows of a group, with their share of the product's speed."""
    product = {row.precision: row.seconds for row in rows if row.provider == PRODUCT and row.seconds}
    return [
        replace(row, product_share=product[row.precision] / row.seconds)
        if row.seconds and row.precision in product
        else row
        for row in rows
    ]


def to_json(row: Row) -> dict[str, Any]:
    """Plain values; an infinite excess as text, since JSON has no infinity."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(row).items()
        if value not in (None, "")
    }


def from_json(values: Mapping[str, Any]) -> Row:
    """The inverse of `to_json`."""
    floats = {name: float(value) for name, value in values.items() if value in ("inf", "nan")}
    return Row(**{**values, **floats})
