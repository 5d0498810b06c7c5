"""``mlbench doctor``."""

import json
from collections import Counter

import typer

from mlbench.cli.options import AsJson


def command(as_json: AsJson = False) -> None:
    """Check this installation: versions, device, components that cannot be imported or clash."""
    findings = [*_environment(), *_components()]
    bad = [finding for finding in findings if finding["state"] == "problem"]
    if as_json:
        print(json.dumps(findings, indent=1))
    else:
        for finding in findings:
            print(f"{finding['state']:8} {finding['what']}: {finding['detail']}")
        print(f"\n{len(bad)} problem{'' if len(bad) == 1 else 's'} found.")
    if bad:
        raise typer.Exit(1)


def _finding(state: str, what: str, detail: str) -> dict[str, str]:
    return {"state": state, "what": what, "detail": detail}


def _environment() -> list[dict[str, str]]:
    import torch

    from mlbench.execution.coordinator import available_cores
    from mlbench.execution.environment import environment

    found = [_finding("ok", name, version) for name, version in environment().items()]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"no GPU; {available_cores()} cores"
    return [*found, _finding("ok", "device", device)]


def _components() -> list[dict[str, str]]:
    from mlbench.api.errors import PluginError
    from mlbench.registry import KINDS, entries, load

    found = []
    for kind in KINDS:
        known = entries(kind)
        for identifier, count in Counter(entry.id for entry in known).items():
            if count > 1:
                found.append(
                    _finding("problem", identifier, f"named {count} times in {kind}; reinstall its distribution")
                )
        broken = 0
        for entry in known:
            try:
                load(entry)
            except PluginError as error:
                broken += 1
                found.append(_finding("problem", f"{kind}/{entry.id}", str(error)))
        found.append(_finding("ok", kind, f"{len(known) - broken} of {len(known)} can be imported"))
    return found
