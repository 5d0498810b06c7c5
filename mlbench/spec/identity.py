"""Canonical data: the same meaning always gives the same bytes, and so the same hash."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel

from mlbench.spec.base import Table


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [1.0, None]})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def identity_of(table: Table) -> dict[str, Any]:
    """The fields of a table that can change a result, nested tables and the arguments of components included.

    Raises:
        TypeError: If a field is not classified (see ``spec.base.result``, ``added`` and ``runtime``).
    """
    kept: dict[str, Any] = _plain(table.model_extra or {})
    for name, field in type(table).model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or "identity" not in extra:
            raise TypeError(f"{type(table).__name__}.{name} is not classified: use result(), added() or runtime()")
        value = getattr(table, name)
        if extra["identity"] and not (extra.get("omit_default") and value == field.default):
            kept[name] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, Table):
        return identity_of(value)
    if isinstance(value, BaseModel):  # a dimension of a search space
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
