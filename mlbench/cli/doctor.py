"""``mlbench doctor``."""

import json
from collections.abc import Iterator
from typing import Annotated

import typer

from mlbench.cli.options import AsJson


def command(
    timeout: Annotated[float, typer.Option(help="Seconds that importing one component of a plugin may take.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Check this installation: versions, device, plugins that cannot be used; each is imported in another process."""
    findings = [*_environment(), *_harness(), *_plugins(timeout)]
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


def _environment() -> Iterator[dict[str, str]]:
    import torch

    from mlbench.execution.cores import available_cores
    from mlbench.execution.environment import environment

    for name, version in environment().items():
        yield _finding("ok", name, version)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"no GPU; {available_cores()} cores"
    yield _finding("ok", "device", device)


def _harness() -> Iterator[dict[str, str]]:
    from mlbench.api.errors import PluginError
    from mlbench.registry import KINDS, entries, load
    from mlbench.registry.distributions import HARNESS

    for kind in KINDS:
        own = [entry for entry in entries(kind) if entry.distribution == HARNESS]
        broken = 0
        for entry in own:
            try:
                load(entry)
            except PluginError as error:
                broken += 1
                yield _finding("problem", f"{kind}/{entry.id}", str(error))
        yield _finding("ok", kind, f"{len(own) - broken} of {len(own)} of the harness can be imported")


def _plugins(timeout: float) -> Iterator[dict[str, str]]:
    from mlbench.registry.health import health
    from mlbench.registry.probe import probe

    plugins = health()
    for one in plugins:
        for problem in one.problems:
            state = "off" if problem.state == "switched off" else "problem"
            yield _finding(state, f"{one.plugin.name} {one.plugin.version}".rstrip(), str(problem))
        for note in one.notes:
            yield _finding("note", one.plugin.name, note)
    for entry, fault in probe([entry for one in plugins for entry in one.sound], timeout):
        state = "problem" if fault else "ok"
        yield _finding(state, f"{entry.kind}/{entry.id}", fault or f"{entry.distribution} {entry.version}")
