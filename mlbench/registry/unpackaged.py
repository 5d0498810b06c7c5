"""Code that no distribution holds: ``my_pkg.mod:Class`` as a component's id, and files given by ``--plugin``.

Such code has no version. In its place the hash of its source enters the identity of every run that uses it, so that an
edited file makes new runs; records and leaderboards show it.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from mlbench.api.errors import ConfigError, PluginError, UnknownNameError
from mlbench.registry.source import home_of, source_hash

_ID = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_unpackaged(name: str) -> bool:
    """Whether an id means un-packaged code.

    >>> is_unpackaged("my_file:Loss"), is_unpackaged("acme-losses/loss")
    (True, False)
    """
    return _ID.fullmatch(name) is not None


def refuse_missing(name: str, where: str = "") -> None:
    """Insist that the module of an un-packaged id is there.

    Raises:
        UnknownNameError: If it is not.
    """
    module = name.partition(":")[0]
    if home_of(module) is None:
        place = f"{where}: " if where else ""
        file = module.partition(".")[0]
        raise UnknownNameError(
            f"{place}{name!r}: there is no module {module!r} here; give its file with --plugin {file}.py, "
            f"or name the folder of its package in PYTHONPATH",
            name,
        )


class _Files:
    """Finds the modules of the files that were given; the last to be asked, so it hides nothing."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.sources: dict[str, str] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return spec_from_file_location(name, self.paths[name]) if name in self.paths else None


_FILES = _Files()


def use_file(path: str | Path) -> None:
    """Make the classes of a Python file available as ``stem:Class``, where ``stem`` is the file's name without ``.py``.

    A file that was used before and has changed since is imported anew.

    Raises:
        ConfigError: If there is no such file, its name is no module's name, or it is another module's.
    """
    file = Path(path).expanduser().resolve()
    stem = file.stem
    if file.suffix != ".py" or not file.is_file():
        raise ConfigError(f"--plugin {path}: no Python file there; give the path of a .py file")
    if not stem.isidentifier():
        raise ConfigError(f"--plugin {path}: {stem!r} cannot be a module's name; use letters, digits and _")
    if stem not in _FILES.paths and (stem in sys.modules or find_spec(stem) is not None):
        raise ConfigError(f"--plugin {path}: there is another module called {stem!r}; rename the file")
    if _FILES.paths.get(stem, file) != file:
        raise ConfigError(f"--plugin {path}: {_FILES.paths[stem]} has the same name; rename one of them")
    if _FILES not in sys.meta_path:
        sys.meta_path.append(_FILES)
    source = hashlib.sha256(file.read_bytes()).hexdigest()
    if _FILES.sources.get(stem) != source:
        sys.modules.pop(stem, None)
    _FILES.paths[stem], _FILES.sources[stem] = file, source


def used_files() -> tuple[str, ...]:
    """The files in use, for worker processes."""
    return tuple(str(path) for path in _FILES.paths.values())


def source_of(module: str) -> str:
    """The hash of un-packaged code: of the file given, or of the package that holds ``module``.

    Raises:
        PluginError: If it has no source that could stand for it in the identity of a run.
    """
    source = _FILES.sources.get(module) or source_hash(module)
    if source is None:
        raise PluginError(f"{module}: has no Python source that could be hashed, so its runs would have no identity")
    return source


def sources_in(identity: Any) -> dict[str, str]:
    """Un-packaged ids in an identity (a request, a recipe) and the hash of each one's source."""
    return dict(_sources(identity))


def _sources(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("id"), str) and isinstance(value.get("source"), str):
            yield value["id"], value["source"]
        for item in value.values():
            yield from _sources(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _sources(item)
