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
    executor: Annotated[
        str | None, typer.Option(help="Who runs the runs: local (default), inprocess, ray, slurm.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; auto: the one of this machine.")] = None,
    slurm: Annotated[
        list[str] | None, typer.Option("--slurm", metavar="KEY=VALUE", help="For SLURM: partition=gpu. Repeatable.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Runs at once; 0 runs in this process. Default: one a core, or one a GPU slot.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where to compute: cpu, cuda, cuda:0,cuda:1.")] = None,
    slots: Annotated[int | None, typer.Option(help="Runs that share a GPU. Default: 1.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do runs again that failed, diverged or collapsed.")
    ] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one attempt at a run may take.")] = None,
    retries: Annotated[
        int | None, typer.Option(help="Further attempts at a run whose process died or ran out of memory. Default: 2.")
    ] = None,
    fail_fast: Annotated[
        bool | None, typer.Option("--fail-fast/--keep-going", help="Stop at the first failed run, or go on (default).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a benchmark and write its leaderboard; given again, resume it."""
    overrides = [*(set_ or [])]
    given: dict[str, object] = {
        "executor": executor,
        "address": address,
        "workers": workers,
        "device": device,
        "slots": slots,
    }
    given |= {"timeout": timeout, "retries": retries}
    overrides += [f"runtime.{name}={value}" for name, value in given.items() if value is not None]
    overrides += [f"runtime.slurm.{pair}" for pair in slurm or []]
    overrides += [f"runtime.fail_fast={str(fail_fast).lower()}"] if fail_fast is not None else []
    if dry_run:
        from mlbench.cli.plan import show_plan

        show_plan(benchmark, overrides, store, as_json)
        return
    import mlbench
    from mlbench.cli.tables import print_leaderboard
    from mlbench.execution.displays import Bar, Lines

    watch = Bar() if sys.stderr.isatty() else Lines()
    try:
        result = mlbench.run(benchmark, overrides=overrides, store=store, retry_failed=retry_failed, watch=watch)
    finally:
        if isinstance(watch, Bar):
            watch.close()
    summary = result.summary
    if as_json:
        counts = {"done": len(summary.done), "cached": len(summary.cached), "failed": summary.failed}
        counts["left"] = summary.left
        print(json.dumps({"store": str(result.store), **counts}, indent=1))
    else:
        print_leaderboard(result.store)
        spared = f", {len(summary.spared)} not needed (stopped early)" if summary.spared else ""
        print(f"{len(summary.done)} runs now, {len(summary.cached)} from before, {len(summary.failed)} failed{spared}.")
        print(f"Leaderboard and records: {result.store}/leaderboard.md")
    if summary.failed:
        print(
            f"mlbench: what failed stays failed: `mlbench logs {result.store}` says why; when that is mended, "
            f"`mlbench retry {result.store}` lets the same command do it again",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    if summary.left:
        print(f"mlbench: {len(summary.left)} runs are left; give the same command again to resume", file=sys.stderr)
        raise typer.Exit(75)
