"""From a component table of a benchmark file to an object: resolve (validate, no construction), then build."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlbench.api.errors import ConfigError, MissingWeightsError
from mlbench.api.trunk import StartsFromWeights
from mlbench.registry.entries import Entry, find
from mlbench.registry.loading import blamed, info_of, load
from mlbench.registry.schema import Parameter, check_name, check_value, parameters
from mlbench.registry.unpackaged import source_of

#: Arguments that hold another component, by name, and the kind of that component.
NESTED = {
    "distance": "distances",
    "reducer": "reducers",
    "reducers": "reducers",
    "default_reducer": "reducers",
    "embedding_regularizer": "regularizers",
    "weight_regularizer": "regularizers",
    "loss": "losses",
    "losses": "losses",
    "miner": "miners",
    "miners": "miners",
}
#: Arguments that the harness knows: filled in where the constructor requires them or the file says ``"auto"``.
CONTEXT = ("num_classes", "embedding_size", "in_channels", "batch_size")
#: Of these, what the data decides alone: filled in wherever the constructor has it.
_FROM_DATA = ("in_channels",)


@dataclass(frozen=True)
class Resolved:
    """A component that exists and whose arguments fit, not yet constructed.

    ``arguments`` holds plain values, other ``Resolved`` components, or lists of these.
    """

    entry: Entry
    component: type[Any]
    arguments: Mapping[str, Any]
    where: str

    def identity(self) -> dict[str, Any]:
        """Id, behaviour version and every argument with its default: what enters the identity of a run.

        For un-packaged code also the hash of its source. For weights made elsewhere stands what they are.

        Raises:
            MissingWeightsError: If there are no such weights.
        """
        known = parameters(self.component)
        filled = {name: p.default for name, p in known.items() if _is_plain(p.default) and name not in _FROM_DATA}
        filled |= self.arguments
        if "weights" in filled and issubclass(self.component, StartsFromWeights):
            filled["weights"] = self._weights(filled)
        return component_identity(self.entry, self.component) | {
            "arguments": {name: _identity(value) for name, value in sorted(filled.items())},
        }

    def _weights(self, arguments: Mapping[str, Any]) -> str:
        with blamed(self.entry, self.where, "cannot tell what its weights are"):
            try:
                return str(self.component.weights_identity(arguments))
            except ConfigError as error:
                raise MissingWeightsError(f"{self.where}: {error}") from None

    def build(self, **context: int) -> Any:
        """Construct it. ``context`` gives ``num_classes``, ``embedding_size``, ``in_channels``, ``batch_size``.

        Raises:
            ConfigError: If the constructor refuses a value.
            PluginError: If the constructor fails in another way. The cause is chained.
        """
        arguments = {name: _build(value, context) for name, value in self.arguments.items()}
        for name, parameter in parameters(self.component).items():
            wanted = name not in arguments and (parameter.required or name in _FROM_DATA)
            if name in CONTEXT and (wanted or arguments.get(name) == "auto"):
                if name not in context:
                    raise ConfigError(f"{self.where}: {self.entry.id} needs {name}, which is not known here; set it")
                arguments[name] = context[name]
        with blamed(self.entry, self.where, "cannot be constructed"):
            try:
                return self.component(**arguments)
            except (ValueError, AssertionError) as error:
                raise ConfigError(f"{self.where}: {self.entry.id} refuses its arguments: {error}") from error


def component_identity(entry: Entry, component: type[Any]) -> dict[str, Any]:
    """Id and behaviour version of a component; of un-packaged code, which has none to trust, its source's hash too."""
    identity: dict[str, Any] = {"id": entry.id, "version": info_of(component).version}
    return identity if entry.plugin else identity | {"source": source_of(entry.module)}


def resolve(kind: str, table: str | Mapping[str, Any], where: str) -> Resolved:
    """Find and import the component of ``table`` (an id, or an ``id`` with arguments) and check its arguments.

    Args:
        kind: One of ``registry.KINDS``.
        table: ``"triplet-margin"`` or ``{"id": "triplet-margin", "margin": 0.1}``.
        where: The place in the benchmark file, for messages: ``methods[2].loss``.

    Raises:
        ConfigError: If the component does not exist, or an argument is unknown, missing or of another type.
        PluginError: If the component cannot be imported.
    """
    table = {"id": table} if isinstance(table, str) else dict(table)
    name = table.pop("id", None)
    if not isinstance(name, str):
        raise ConfigError(f"{where}: a component is an id or a table with an id, got {table!r}")
    entry = find(kind, name, where)
    return configure(entry, load(entry), table, where)


def configure(entry: Entry, component: type[Any], table: Mapping[str, Any], where: str) -> Resolved:
    """Check the arguments in ``table`` against the constructor of ``component``, which ``entry`` stands for.

    Raises:
        ConfigError: If an argument is unknown, missing or of another type.
    """
    known = parameters(component)
    arguments = {}
    for key, value in table.items():
        check_name(known, key, where)
        arguments[key] = _resolve_value(known[key], value, where)
    missing = [p.name for p in known.values() if p.required and p.name not in arguments and p.name not in CONTEXT]
    if missing:
        raise ConfigError(f"{where}: {entry.id} needs {', '.join(missing)}; add it to the table")
    return Resolved(entry, component, arguments, where)


def _resolve_value(parameter: Parameter, value: Any, where: str) -> Any:
    place = f"{where}.{parameter.name}"
    kind = None if parameter.plain else NESTED.get(parameter.name)
    if kind and isinstance(value, list):
        return [resolve(kind, item, f"{place}[{index}]") for index, item in enumerate(value)]
    if kind and isinstance(value, str | Mapping):
        return resolve(kind, value, place)
    if kind and value is not None:
        raise ConfigError(f"{place}: expected a component (an id or a table with an id), got {value!r}")
    if parameter.name in CONTEXT and value == "auto":
        return value
    return check_value(parameter, value, where)


def _build(value: Any, context: Mapping[str, int]) -> Any:
    if isinstance(value, Resolved):
        return value.build(**context)
    if isinstance(value, list):
        return [_build(item, context) for item in value]
    return value


def _identity(value: Any) -> Any:
    if isinstance(value, Resolved):
        return value.identity()
    if isinstance(value, list | tuple):
        return [_identity(item) for item in value]
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    # An infinite default has no JSON; like an object it is the constructor's own, and the version stands for it.
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
