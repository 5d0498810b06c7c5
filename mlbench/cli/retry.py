"""``mlbench retry``."""

from typing import Annotated

import typer

from mlbench.cli.options import Overrides, PluginFiles, StoreFolder
from mlbench.cli.stores import StoreOrBenchmark, job_of, store_of


def command(
    where: StoreOrBenchmark,
    jobs: Annotated[list[str] | None, typer.Argument(help="Jobs as `status` names them. Default: all failed.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="Only what failed so: memory, killed, crash, timeout, error, diverged, ...")
    ] = None,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
) -> None:
    """Set failed runs aside, for the next `mlbench run` to do again, from their checkpoints if there are any."""
    from mlbench.api.errors import StoreError

    found = store_of(where, set_, store)
    failed = {job_of(record): record for record in found.records() if record.outcome != "completed"}
    if unknown := sorted(set(jobs or ()) - failed.keys()):
        names = ", ".join(sorted(failed)) or "none"
        raise StoreError(f"{found.path}: {unknown[0]!r} is no failed job; these are: {names}")
    chosen = [
        (job, record)
        for job, record in sorted(failed.items())
        if (not jobs or job in jobs) and (not reason or record.why in reason)
    ]
    for job, record in chosen:
        found.forget(record, f"{record.why}; done again: mlbench retry")
        print(f"{job} ({record.why})")
    print(f"{len(chosen)} runs set aside; give the same `mlbench run` again to do them again")
