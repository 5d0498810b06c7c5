"""``mlbench logs``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlbench.cli.options import Overrides, PluginFiles, StoreFolder
from mlbench.cli.stores import StoreOrBenchmark, events_of, store_of

if TYPE_CHECKING:
    from mlbench.store import Store

#: Seconds between two looks at files that grow.
_PAUSE = 0.5


def command(
    where: StoreOrBenchmark,
    job: Annotated[str | None, typer.Argument(help="A job as `status` names it. Default: whatever runs now.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until nothing runs any more.")] = False,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
) -> None:
    """Show what runs printed, their warnings and how they ended."""
    from mlbench.api.errors import StoreError

    found = store_of(where, set_, store)
    runs = _runs(found)
    if job is not None and job not in runs:
        raise StoreError(f"{found.path}: {job!r} was not started there; {_some(list(runs))}")
    going_on = _going_on(found, job)
    if job is None and not follow and not going_on:
        raise StoreError(f"{found.path}: nothing runs there now; name a job: {_some(list(runs))}")
    shown: dict[Path, int] = {}
    before = {} if job is None else {runs[job]: job}
    while True:
        for run, name in (before | going_on).items():  # what has just ended may have said something since
            _show(found.log(run), shown, "" if job is not None else f"{name} | ")
        if not follow or not (going_on or (job is None and _goes_on(found))):
            return
        time.sleep(_PAUSE)
        before, going_on = going_on, _going_on(found, job)


def _going_on(store: "Store", job: str | None) -> dict[str, str]:
    """What runs now, of one job or of all: the jobs by their runs."""
    found = {content["run"]: content["job"] for _, content, _ in store.leases.held() if "run" in content}
    return {run: name for run, name in found.items() if job in (None, name)}


def _goes_on(store: "Store") -> bool:
    """Whether somebody is there who may start the next run."""
    from mlbench.execution.control import is_coordinated

    return is_coordinated(store)


def _runs(store: "Store") -> dict[str, str]:
    """The last run of every job that was started."""
    return {event["job"]: event["run"] for event in events_of(store) if event["event"] == "started" and "run" in event}


def _show(file: Path, shown: dict[Path, int], prefix: str) -> None:
    """Print the lines of a file that were not printed yet."""
    if not file.is_file():
        return
    with file.open("rb") as content:
        content.seek(shown.get(file, 0))
        lines = content.read().rpartition(b"\n")
        shown[file] = shown.get(file, 0) + len(lines[0]) + len(lines[1])
    if lines[1]:
        for line in lines[0].decode(errors="replace").split("\n"):
            print(f"{prefix}{line}", flush=True)


def _some(jobs: list[str]) -> str:
    if not jobs:
        return "nothing was"
    return f"these were: {', '.join(jobs[:5])}" + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
