"""``search = "declared"``: the search space of a method is what its components declare of themselves."""

from collections.abc import Mapping
from typing import Any

from mlbench.api.errors import ConfigError
from mlbench.registry import find, info_of, load

#: The components of a method and their kinds.
PARTS = {"loss": "losses", "miner": "miners", "sampler": "samplers"}
DECLARED = "declared"


def declared_search(method: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Dotted path and dimension of every argument that the components of a method declare in ``info.space``.

    Arguments that the method gives a value keep it.

    Args:
        method: The raw table of the method.
        place: Where it is, for messages.

    Raises:
        ConfigError: If a component does not exist, or there is nothing to search.
        PluginError: If a component cannot be imported.
    """
    found: dict[str, Any] = {}
    for part, kind in PARTS.items():
        table = method.get(part)
        given = table if isinstance(table, Mapping) else {"id": table}
        if isinstance(name := given.get("id"), str):
            space = info_of(load(find(kind, name, f"{place}.{part}"))).space
            found |= {f"{part}.{key}": one.model_dump() for key, one in space.items() if key not in given}
    if not found:
        raise ConfigError(
            f'{place}.search: "{DECLARED}", but no component of the method declares an argument (`info.space`) that is '
            'not given; write the dimensions out, as in { "loss.margin" = { low = 0.0, high = 1.0 } }'
        )
    return found
