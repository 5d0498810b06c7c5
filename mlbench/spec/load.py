"""From a preset's name, a TOML file or a dictionary to a checked ``Benchmark``."""

import copy
import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mlbench.api.errors import ConfigError, UnknownNameError
from mlbench.spec.benchmark import Benchmark
from mlbench.spec.declared import DECLARED, declared_search
from mlbench.spec.named import named_methods
from mlbench.spec.shipped import benchmark_names, benchmark_text
from mlbench.spec.transforms import Transforms


def load_benchmark(source: str | Path | Mapping[str, Any], overrides: Iterable[str] = ()) -> Benchmark:
    """Read and check a benchmark.

    Args:
        source: The name of a shipped benchmark, the path of a TOML file, or the tables as a dictionary. A file may say
            ``extends = "quick"`` and then only what differs.
        overrides: ``key=value`` with a dotted key and a TOML value; a bare word is a string. ``dataset=digits`` and
            ``training.batch_size=64`` are examples.

    Raises:
        ConfigError: With one line for every mistake: place, reason, nearest valid name.
    """
    label, tables = _read(source)
    for override in overrides:
        apply_override(tables, override)
    tables["methods"] = _expand_methods(tables.get("methods", []), label)
    try:
        return Benchmark.model_validate(tables)
    except ValidationError as error:
        # An array whose items are refused also counts as too short.
        items = [item for item in error.errors() if not (item["type"] == "too_short" and item["input"])]
        lines = [f"{label}: {_explain(item)}" for item in items]
        raise ConfigError("\n".join(lines)) from None


def transforms_of(table: Mapping[str, Any], where: str) -> Transforms:
    """Check a table of transforms that stands elsewhere than at the top of a benchmark, in ``where``.

    Raises:
        ConfigError: With one line for every mistake.
    """
    try:
        return Transforms.model_validate(table)
    except ValidationError as error:
        items = [{**item, "loc": ("transforms", *item["loc"])} for item in error.errors()]
        raise ConfigError("\n".join(f"{where}.{_explain(item)}" for item in items)) from None


def _read(source: str | Path | Mapping[str, Any], heirs: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    if isinstance(source, Mapping):
        label, tables = "benchmark", copy.deepcopy(dict(source))  # overrides are written into it
    else:
        label, text = _text(source)
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{label}: not valid TOML: {error}") from None
    if "extends" not in tables:
        return label, tables
    base = _base(tables.pop("extends"), source, label)
    if base in heirs:
        raise ConfigError(f"{label}: extends: {base} extends itself")
    return label, _merge(_read(base, (*heirs, base))[1], tables)


def _base(name: Any, source: str | Path | Mapping[str, Any], label: str) -> str:
    """The benchmark that ``extends = name`` means: a shipped one, or a file beside the one that says it."""
    if not isinstance(name, str):
        raise ConfigError(f"{label}: extends: expected a shipped benchmark or a path, got {name!r}")
    if name in benchmark_names() or isinstance(source, Mapping):
        return name
    beside = Path(source).parent / name
    return str(beside.resolve()) if beside.is_file() else name


def _text(source: str | Path) -> tuple[str, str]:
    names = benchmark_names()
    if str(source) in names:
        return f"{source}.toml", benchmark_text(str(source))
    path = Path(source)
    if not path.is_file():
        near = difflib.get_close_matches(str(source), names, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"shipped benchmarks: {', '.join(names)}"
        raise UnknownNameError(f"no benchmark file or shipped benchmark {str(source)!r}; {hint}")
    try:
        return path.name, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merge; everything else, and a component with another id, replaces."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if isinstance(old, str) and isinstance(value, Mapping):  # a component written as a bare id takes arguments too
            old = {"id": old}
        if isinstance(old, dict) and isinstance(value, Mapping) and value.get("id", old.get("id")) == old.get("id"):
            value = _merge(old, value)
        merged[key] = value
    return merged


def apply_override(tables: dict[str, Any], override: str) -> None:
    """Write ``key=value`` with a dotted key and a TOML value into ``tables``; a bare word is a string.

    Raises:
        ConfigError: If it is no ``key=value``, or its key leads through a value that is no table.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: write key=value, for example --set training.batch_size=64")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.split(".")
    table = tables
    for parent in parents:
        inner = table.setdefault(parent, {})
        if isinstance(inner, str):  # a component written as a bare id takes arguments too
            inner = table[parent] = {"id": inner}
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {parent} is not a table")
        table = inner
    table[last] = value


def _expand_methods(methods: Any, label: str) -> Any:
    if not isinstance(methods, list):
        return methods
    places = [f"{label}: methods[{index}]" for index in range(len(methods))]
    return [_searched(_expand(method, place), place) for method, place in zip(methods, places, strict=True)]


def _searched(method: Any, place: str) -> Any:
    """With the search spaces that its components declare, if it asks for them."""
    if not isinstance(method, Mapping) or method.get("search") != DECLARED:
        return method
    return {**method, "search": declared_search(method, place)}


def _expand(method: Any, place: str) -> Any:
    """``"Triplet"`` or ``{ use = "Triplet", miner = ... }`` becomes the named method's table."""
    if isinstance(method, str):
        method = {"use": method}
    if not isinstance(method, Mapping) or "use" not in method:
        return method
    change = {key: value for key, value in method.items() if key != "use"}
    known = named_methods()
    if method["use"] not in known:
        near = difflib.get_close_matches(str(method["use"]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"named methods: {', '.join(known)}"
        raise UnknownNameError(f"{place}: unknown method {method['use']!r}; {hint}")
    base = dict(known[method["use"]])
    if "sampler" in change:  # composes the batches in its place
        base.pop("samples_per_class", None)
    fixed = set(_paths(change))  # what is given a value here is not searched any more
    base["search"] = {path: space for path, space in base.get("search", {}).items() if path not in fixed}
    return _merge(base, change)


def _paths(table: Mapping[str, Any]) -> Iterator[str]:
    """Dotted paths of everything in a table and the tables within."""
    for key, value in table.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{path}" for path in _paths(value))


#: In TOML's words what pydantic says in Python's.
_EXPECTED = {
    "tuple_type": "expected an array",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
    "dataclass_type": "expected a table",
    "too_short": "must not be empty",
}


def _explain(item: Any) -> str:
    location = [part for part in item["loc"] if part not in ("float", "int", "categorical")]
    place = _dotted(location)
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _siblings(location[:-1]), n=1)
        return f"{place}: unknown; " + (
            f"did you mean {near[0]}?" if near else f"valid: {', '.join(_siblings(location[:-1]))}"
        )
    if item["type"] == "missing":
        return f"{place}: missing"
    if item["type"] == "value_error":  # of a whole table, which would be long; its text says what is wrong
        return f"{place}: {item['ctx']['error']}" if location else str(item["ctx"]["error"])
    return f"{place}: {_EXPECTED.get(item['type'], item['msg'])}, got {item['input']!r}"


def _dotted(location: Iterable[Any]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "benchmark"


def _siblings(location: Iterable[Any]) -> list[str]:
    """The names that are valid in the table at ``location``."""
    table: type[BaseModel] = Benchmark
    for part in location:
        if isinstance(part, str):
            found = _table_of(table.model_fields[part].annotation) if part in table.model_fields else None
            table = found or table
    return list(table.model_fields)


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [_table_of(argument) for argument in getattr(annotation, "__args__", ())]
    return next((table for table in inner if table), None)
