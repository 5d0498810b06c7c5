"""The shipped benchmarks, as text: listing them reads no more than it must."""

import tomllib
from importlib.resources import files

_PRESETS = files("mlbench.spec") / "presets"


def benchmark_names() -> list[str]:
    """The shipped benchmarks, sorted."""
    return sorted(path.name.removesuffix(".toml") for path in _PRESETS.iterdir() if path.name.endswith(".toml"))


def benchmark_text(name: str) -> str:
    """The TOML of a shipped benchmark."""
    return (_PRESETS / f"{name}.toml").read_text(encoding="utf-8")


def benchmark_summary(name: str) -> str:
    """What a shipped benchmark says of itself in a line."""
    return str(tomllib.loads(benchmark_text(name)).get("summary", ""))
