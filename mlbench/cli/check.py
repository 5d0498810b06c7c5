"""``mlbench check``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlbench.cli.options import AsJson

if TYPE_CHECKING:
    from mlbench.registry import Entry
    from mlbench.testing import Check


def command(
    name: Annotated[str, typer.Argument(help="losses/acme/loss, an id or name, or a whole distribution.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An argument of the component: margin=0.1. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the conformance kit on installed components; exit code 1 if one fails."""
    from mlbench.api import ConfigError
    from mlbench.spec.load import apply_override
    from mlbench.testing.kit import KINDS
    from mlbench.testing.selection import select

    arguments: dict[str, Any] = {}
    for value in values or []:
        apply_override(arguments, value)
    chosen = select(name)
    checked = [entry for entry in chosen if entry.kind in KINDS]
    if not checked:
        raise ConfigError(f"check: {name} is of the kind {chosen[0].kind}; there are checks for {', '.join(KINDS)}")
    reports = [(entry, _checks(entry, arguments)) for entry in checked]
    if as_json:
        print(json.dumps([_record(entry, checks) for entry, checks in reports], indent=1))
    else:
        for entry, checks in reports:
            _print(entry, checks)
    if not all(_sound(checks) for _, checks in reports):
        raise typer.Exit(1)


def _checks(entry: "Entry", arguments: dict[str, Any]) -> "list[Check]":
    from mlbench.api import MlbenchError, PluginError
    from mlbench.testing import Check, check_component

    try:
        return check_component(entry.kind, entry.id, arguments)
    except MlbenchError as error:  # the other components are checked all the same
        demand = "It can be imported, and built from its defaults, `info.example` and `--set`."
        fix = "Give the arguments that it needs as --set KEY=VALUE."
        if isinstance(error, PluginError):
            fix = "Mend the module or its entry point; after a change of entry points install the package again."
        return [Check("construction", "failed", str(error), demand, fix)]


def _sound(checks: "list[Check]") -> bool:
    return all(check.status != "failed" for check in checks)


def _record(entry: "Entry", checks: "list[Check]") -> dict[str, Any]:
    return {
        "component": f"{entry.kind}/{entry.id}",
        "distribution": entry.distribution,
        "version": entry.version,
        "sound": _sound(checks),
        "checks": [asdict(check) for check in checks],
    }


def _print(entry: "Entry", checks: "list[Check]") -> None:
    print(f"{entry.kind}/{entry.id}  ({entry.distribution} {entry.version}, {entry.point.value})")
    width = max(len(check.name) for check in checks)
    told: dict[str, str] = {}
    for check in checks:
        same = told.get(check.detail) if check.status == "failed" else None
        print(f"  {check.status:16}  {check.name:{width}}  {f'as {same}' if same else check.detail}".rstrip())
        if check.status == "failed" and not same:
            told[check.detail] = check.name
            print(f"  {'':16}  {'':{width}}  must: {check.demand}")
            print(f"  {'':16}  {'':{width}}  fix:  {check.fix}")
    counts = {status: sum(check.status == status for check in checks) for status in ("passed", "failed")}
    rest = len(checks) - sum(counts.values())
    print(f"  {counts['passed']} passed, {counts['failed']} failed, {rest} expected to fail or not applicable\n")
