"""The cases: every module of this folder that has `CASES`. A new file takes part by being here."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ..case import Case


def all_cases() -> list[Case]:
    """Every case, by the names of their modules."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return [case for module in modules for case in module.CASES]
