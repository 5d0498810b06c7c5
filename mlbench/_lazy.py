"""Module-level lazy exports (PEP 562), so that a package's public names cost nothing until one is used."""

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_exports(
    package: str, exports: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` for ``package``, whose submodules ``exports`` maps to the names they define.

    A submodule with no names is exported itself.
    """
    home = {module: f"{package}.{module}" for module, names in exports.items() if not names}
    home |= {name: f"{package}.{module}" for module, names in exports.items() for name in names}

    def __getattr__(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(home[name])
        return getattr(module, name) if exports.get(name) != () else module

    def __dir__() -> list[str]:
        return sorted(home)

    return __getattr__, __dir__
