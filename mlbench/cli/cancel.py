"""``mlbench cancel``."""

from typing import Annotated

import typer

from mlbench.cli.options import Overrides, PluginFiles, StoreFolder
from mlbench.cli.stores import StoreOrBenchmark, store_of


def command(
    where: StoreOrBenchmark,
    jobs: Annotated[list[str] | None, typer.Argument(help="Jobs as `status` names them. Default: everything.")] = None,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
) -> None:
    """Ask a run that is going on to stop, or to stop some jobs: trainings keep their state and go on next time."""
    from mlbench.api.errors import StoreError
    from mlbench.execution.control import ask_to_cancel

    found = store_of(where, set_, store)
    if not ask_to_cancel(found, jobs or None):
        raise StoreError(f"{found.path}: nothing is running there; `mlbench status` shows what is done")
    print(f"asked to stop {', '.join(jobs) if jobs else 'everything'}")
