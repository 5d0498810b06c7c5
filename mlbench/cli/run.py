"""``mlbench run``."""

import json
import sys
from typing import Annotated

import typer

from mlbench.cli.options import AsJson, BenchmarkName, Overrides, PluginFiles, StoreFolder


def command(
    benchmark: BenchmarkName,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; 0 runs in this one. Default: one a core.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where to compute: cpu, cuda, cuda:1.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do runs again that failed, diverged or collapsed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a benchmark and write its leaderboard; given again, resume it."""
    overrides = [*(set_ or [])]
    overrides += [f"runtime.workers={workers}"] if workers is not None else []
    overrides += [f"runtime.device={device}"] if device is not None else []
    if dry_run:
        from mlbench.cli.plan import show_plan

        show_plan(benchmark, overrides, store, as_json)
        return
    import mlbench
    from mlbench.cli.tables import print_leaderboard
    from mlbench.execution.watch import Bar, Lines

    watch = Bar() if sys.stderr.isatty() else Lines()
    try:
        result = mlbench.run(benchmark, overrides=overrides, store=store, retry_failed=retry_failed, watch=watch)
    finally:
        if isinstance(watch, Bar):
            watch.close()
    summary = result.summary
    if as_json:
        counts = {"done": len(summary.done), "cached": len(summary.cached), "failed": summary.failed}
        print(json.dumps({"store": str(result.store), **counts}, indent=1))
    else:
        print_leaderboard(result.store)
        print(f"{len(summary.done)} runs now, {len(summary.cached)} from before, {len(summary.failed)} failed.")
        print(f"Leaderboard and records: {result.store}/leaderboard.md")
    if summary.failed:
        raise typer.Exit(2)
