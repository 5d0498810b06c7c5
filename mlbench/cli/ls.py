"""``mlbench ls``."""

import json
from typing import Annotated, Any

import typer

from mlbench.cli.options import AsJson


def command(
    kind: Annotated[str, typer.Argument(help="losses, miners, datasets, ... or methods, benchmarks, plugins.")] = "",
    as_json: AsJson = False,
) -> None:
    """List what is installed. Imports no component."""
    from mlbench.api.errors import ConfigError
    from mlbench.registry.entries import KINDS

    listings = (*KINDS, "methods", "benchmarks", "plugins")
    if kind and kind not in listings:
        raise ConfigError(f"ls: unknown kind {kind!r}; kinds: {', '.join(listings)}")
    found = {name: _rows(name) for name in ([kind] if kind else listings)}
    if as_json:
        print(json.dumps(found[kind] if kind else found, indent=1))
        return
    for name, rows in found.items():
        _print(name, rows, single=bool(kind))


def _rows(kind: str) -> list[dict[str, Any]]:
    from mlbench.registry.entries import KINDS, entries

    if kind in KINDS:
        return [{"id": e.id, "distribution": e.distribution, "version": e.version} for e in entries(kind)]
    return {"methods": _methods, "benchmarks": _benchmarks, "plugins": _plugins}[kind]()


def _methods() -> list[dict[str, Any]]:
    from mlbench.spec.named import named_methods

    return [{"id": name, "summary": table.get("summary", "")} for name, table in named_methods().items()]


def _benchmarks() -> list[dict[str, Any]]:
    from mlbench.spec.shipped import benchmark_names, benchmark_summary

    return [{"id": name, "summary": benchmark_summary(name)} for name in benchmark_names()]


def _plugins() -> list[dict[str, Any]]:
    from mlbench.registry.health import health

    return [
        {
            "id": one.plugin.name,
            "version": one.plugin.version,
            "folder": one.plugin.folder,
            "state": one.state,
            "components": [f"{entry.kind}/{entry.id}" for entry in one.components],
            "problems": [{"state": p.state, "cause": p.cause, "remedy": p.remedy} for p in one.problems],
            "notes": list(one.notes),
        }
        for one in health()
    ]


def _print(kind: str, rows: list[dict[str, Any]], *, single: bool) -> None:
    if not single:
        print(f"{kind} ({len(rows)})")
    indent = "" if single else "  "
    width = max((len(row["id"]) for row in rows), default=0)
    for row in rows:
        print(f"{indent}{row['id']:{width}}  {_rest(row)}".rstrip())
        for problem in row.get("problems", []):
            print(f"{indent}    {problem['state']}: {problem['cause']}; {problem['remedy']}")
        for note in row.get("notes", []):
            print(f"{indent}    {note}")


def _rest(row: dict[str, Any]) -> str:
    if "components" in row:
        names = ", ".join(row["components"]) or "no components"
        return f"{row['version']}  {row['state']}  {names}".lstrip()
    return str(row["summary"]) if "summary" in row else f"{row['distribution']} {row['version']}"
