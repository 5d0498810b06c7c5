"""``mlbench ls``."""

import json
from typing import Annotated

import typer

from mlbench.cli.options import AsJson


def command(
    kind: Annotated[str, typer.Argument(help="losses, miners, datasets, ... or methods, benchmarks.")] = "",
    as_json: AsJson = False,
) -> None:
    """List what is installed. Imports no component."""
    from mlbench.api.errors import ConfigError
    from mlbench.registry.entries import KINDS

    listings = (*KINDS, "methods", "benchmarks")
    if kind and kind not in listings:
        raise ConfigError(f"ls: unknown kind {kind!r}; kinds: {', '.join(listings)}")
    found = {name: _rows(name) for name in ([kind] if kind else listings)}
    if as_json:
        print(json.dumps(found[kind] if kind else found, indent=1))
        return
    for name, rows in found.items():
        _print(name, rows, single=bool(kind))


def _rows(kind: str) -> list[dict[str, str]]:
    from mlbench.registry.entries import KINDS, entries

    if kind in KINDS:
        return [{"id": e.id, "distribution": e.distribution, "version": e.version} for e in entries(kind)]
    return _named(kind)


def _named(kind: str) -> list[dict[str, str]]:
    if kind == "methods":
        from mlbench.spec.named import named_methods

        return [{"id": name, "summary": table.get("summary", "")} for name, table in named_methods().items()]
    from mlbench.spec.load import benchmark_names, load_benchmark

    return [{"id": name, "summary": load_benchmark(name).summary} for name in benchmark_names()]


def _print(kind: str, rows: list[dict[str, str]], *, single: bool) -> None:
    if not single:
        print(f"{kind} ({len(rows)})")
    width = max((len(row["id"]) for row in rows), default=0)
    for row in rows:
        rest = row["summary"] if "summary" in row else f"{row['distribution']} {row['version']}"
        print(f"{'' if single else '  '}{row['id']:{width}}  {rest}".rstrip())
