"""What differs between two tables, in words."""

import json
from typing import Any

_SHOWN = 3


def difference(held: Any, wanted: Any) -> str:
    """The first few places where two tables differ.

    >>> difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    'a.c: 2 there, 3 here'
    """
    left, right = _flat(held), _flat(json.loads(json.dumps(wanted)))
    changed = [key for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]
    shown = [f"{key}: {left.get(key)!r} there, {right.get(key)!r} here" for key in changed[:_SHOWN]]
    return "; ".join(shown) + (f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {
            k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}.{key}" if prefix else key).items()
        }
    return {prefix: value}
