"""How a benchmark file names a component: ``"triplet-margin"`` or ``{ id = "triplet-margin", margin = 0.1 }``."""

import math
from typing import Any

from pydantic import ConfigDict, model_validator

from mlbench.spec.base import Table, result


class Component(Table):
    """A component by id with the arguments of its constructor.

    The arguments are checked against the constructor when the component is resolved, not here: the file can be read
    without importing any component.

    >>> Component.model_validate("glyphs").id
    'glyphs'
    >>> Component.model_validate({"id": "triplet-margin", "margin": 0.1}).arguments
    {'margin': 0.1}
    """

    model_config = ConfigDict(extra="allow")

    id: str = result(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _arguments_are_plain(self) -> "Component":
        for name, value in self.arguments.items():
            if not _is_plain(value):
                raise ValueError(f"{name}: write text, true, false, finite numbers or arrays of these, got {value!r}")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but the id."""
        return dict(self.__pydantic_extra__ or {})


def _is_plain(value: Any) -> bool:
    """Whether it has a JSON form: TOML's dates, ``inf`` and ``nan`` have none."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
