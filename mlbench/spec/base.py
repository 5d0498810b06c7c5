"""The base of every table of a benchmark file: strict, frozen, and each field classified for run identity."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A table of a benchmark file. Unknown keys and values of another type are errors, never dropped or coerced."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def result(default: Any = ..., **checks: Any) -> Any:
    """A field that can change a result: it enters the identity of every run."""
    return Field(default, json_schema_extra={"identity": True}, **checks)


def added(default: Any, **checks: Any) -> Any:
    """A field that can change a result and that older records do not have.

    It enters the identity of a run only where it differs from its default.
    """
    return Field(default, json_schema_extra={"identity": True, "omit_default": True}, **checks)


def runtime(default: Any = ..., **checks: Any) -> Any:
    """A field that only says where and how fast to run: it stays out of run identity."""
    return Field(default, json_schema_extra={"identity": False}, **checks)
