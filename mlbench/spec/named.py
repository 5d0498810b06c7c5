"""Named methods: tables shipped in ``methods/*.toml``, usable by name in any benchmark file."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def named_methods() -> dict[str, dict[str, Any]]:
    """The raw table of every named method, by name, in the order of the files."""
    found: dict[str, dict[str, Any]] = {}
    folder = files("mlbench.spec") / "methods"
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.endswith(".toml"):
            for table in tomllib.loads(path.read_text(encoding="utf-8"))["methods"]:
                found[table["name"]] = table
    return found
