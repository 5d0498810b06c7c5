"""A constructor's arguments as a strict schema."""

import ast
import difflib
import inspect
import json
import textwrap
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import NoneType
from typing import Any, cast

from pydantic import ConfigDict, PydanticUndefinedAnnotation, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from mlbench.api.errors import ConfigError

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One argument of a component's constructor."""

    name: str
    annotation: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is REQUIRED

    @property
    def kind(self) -> str:
        """Its type in words."""
        if self.annotation is not REQUIRED:
            return inspect.formatannotation(self.annotation)
        if self.required or self.default is None:
            return "any"
        return "number" if _is_number(self.default) else type(self.default).__name__

    @property
    def plain(self) -> bool:
        """Whether it can only be text, a number or a flag, and so no component, whatever its name."""
        if self.annotation is REQUIRED:
            return isinstance(self.default, bool | int | float | str)
        options = typing.get_args(self.annotation) or (self.annotation,)
        return all(isinstance(option, str) or option in (bool, int, float, str, NoneType) for option in options)


def parameters(component: type[Any]) -> Mapping[str, Parameter]:
    """The arguments a component accepts, by name.

    Follows ``**kwargs`` up the class hierarchy, as pytorch-metric-learning's losses hand theirs to their bases. What a
    class itself hands to its base (``super().__init__(mat_based_loss=True, **kwargs)``) cannot be given again.
    """
    return _parameters(cast(Hashable, component))


@lru_cache(maxsize=1024)
def _parameters(component: Any) -> Mapping[str, Parameter]:
    found: dict[str, Parameter] = {}
    taken: set[str] = set()
    for cls in inspect.getmro(component):
        if "__init__" not in vars(cls):
            continue
        init = vars(cls)["__init__"]
        hints = _hints(init)
        passes_on = False
        for parameter in list(inspect.signature(init).parameters.values())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in taken:
                annotation = hints.get(parameter.name, REQUIRED)
                found.setdefault(parameter.name, Parameter(parameter.name, annotation, parameter.default))
        if not passes_on:
            break
        taken |= _handed_to_base(init)
    return found


def check_value(parameter: Parameter, value: Any, where: str) -> Any:
    """``value`` as the parameter wants it.

    Raises:
        ConfigError: If it has another type; nothing is coerced but whole numbers to floats and arrays to tuples.
    """
    place = f"{where}.{parameter.name}"
    default = parameter.default
    if type(value) is type(default) and value == default:  # fits even where it does not fit its own annotation
        return value
    if parameter.annotation is not REQUIRED:
        return _check_annotation(parameter.annotation, value, place)
    if default is REQUIRED or default is None:
        return value
    fits = _is_number(value) if _is_number(default) else isinstance(value, type(default))
    if not fits and not (isinstance(default, list | tuple) and isinstance(value, list)):
        raise ConfigError(f"{place}: expected {parameter.kind}, got {type(value).__name__} {value!r}")
    # 1 and 1.0 are one configuration, so they must be one identity.
    return float(value) if isinstance(default, float) else value


def check_name(known: Mapping[str, Parameter], name: str, where: str) -> None:
    """Refuse an argument that the constructor does not have, naming the nearest or all it has."""
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"valid: {', '.join(sorted(known)) or 'none'}"
    raise ConfigError(f"{where}.{name}: unknown; {hint}")


def _check_annotation(annotation: Any, value: Any, place: str) -> Any:
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
        if isinstance(value, list):  # as JSON, where an array stands for a tuple, but its items stay strict
            return adapter.validate_json(json.dumps(value), strict=True)
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ConfigError(f"{place}: {reason}, got {type(value).__name__} {value!r}") from None
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return value


@cache
def _handed_to_base(init: Any) -> frozenset[str]:
    """Names of the keyword arguments in the ``__init__`` call of the base inside ``init``; none without its source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            names.update(keyword.arg for keyword in node.keywords if keyword.arg)
    return frozenset(names)


def _hints(init: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(init)
    except Exception:  # a plugin's annotations may name what is importable only while type checking
        return {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
