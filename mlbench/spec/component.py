"""How a benchmark file names a component: ``"triplet-margin"`` or ``{ id = "triplet-margin", margin = 0.1 }``."""

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from mlbench.spec.base import Table


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

    id: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but the id."""
        return dict(self.__pydantic_extra__ or {})
