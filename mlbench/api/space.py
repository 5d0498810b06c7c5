"""Search spaces: named dimensions, each mapping a point of the unit interval to a value.

A space is plain data (it is part of a run's identity), so the sampler that walks it can be exchanged.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Value: TypeAlias = bool | int | float | str


class _Dimension(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Float(_Dimension):
    """A real interval ``[low, high]``, uniform or log-uniform.

    >>> Float(low=0.01, high=100, log=True).at(0.5)
    1.0
    """

    type: Literal["float"] = "float"
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Float":
        _check_bounds(self.low, self.high, self.log)
        return self

    def at(self, u: float) -> float:
        """The value at ``u`` in [0, 1]."""
        if self.log:
            value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + u * (self.high - self.low)
        # Twelve digits: the value goes through JSON and into a run's identity, where the last bits would only be noise.
        return min(max(float(f"{value:.12g}"), self.low), self.high)


class Int(_Dimension):
    """The integers ``low..high``, both included.

    >>> [Int(low=2, high=4).at(u) for u in (0.0, 0.5, 1.0)]
    [2, 3, 4]
    """

    type: Literal["int"] = "int"
    low: int
    high: int
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Int":
        _check_bounds(self.low, self.high, self.log)
        return self

    def at(self, u: float) -> int:
        """The value at ``u`` in [0, 1]."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high + 1)
            value = int(math.exp(low + u * (high - low)))
        else:
            value = self.low + int(u * (self.high - self.low + 1))
        return min(max(value, self.low), self.high)


class Categorical(_Dimension):
    """One of a few values.

    >>> Categorical(choices=("cosine", "euclidean")).at(0.7)
    'euclidean'
    """

    type: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[Value, ...], Field(min_length=1, strict=False)]

    def at(self, u: float) -> Value:
        """The value at ``u`` in [0, 1]."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]


Dimension: TypeAlias = Float | Int | Categorical
#: Dotted paths into a method (``loss.margin``, ``loss_optimizer.lr``) and the dimension of each.
Space: TypeAlias = Mapping[str, Dimension]


def _check_bounds(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"low must be below high and both finite, got low={low}, high={high}")
    if log and low <= 0:
        raise ValueError(f"a log scale needs low > 0, got low={low}")
