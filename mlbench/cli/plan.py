"""``mlbench plan``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mlbench.cli.options import AsJson, BenchmarkName, Overrides, PluginFiles, StoreFolder

if TYPE_CHECKING:
    from mlbench.execution import Estimate, Forecast, Study

_ROLES = ("trial", "reproduction", "test")


def command(
    benchmark: BenchmarkName,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Time a few steps of every method here and say what the plan would cost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a benchmark would run; nothing is run or written."""
    show_plan(benchmark, set_ or [], store, as_json, estimate)


def show_plan(benchmark: str, overrides: list[str], store: str | None, as_json: bool, estimate: bool = False) -> None:
    """Print the plan as a table, or every job as JSON.

    Raises:
        MlbenchError: After the plan, if the dataset or the trunk's weights are not at hand: nothing could run.
    """
    from mlbench.execution import estimates, forecast, foreseen
    from mlbench.spec import load_benchmark

    study, missing = foreseen(load_benchmark(benchmark, overrides), store)
    costs = list(estimates(study)) if estimate and study.dataset else []
    future = forecast(study, costs) if costs else None
    if as_json and not missing:
        jobs = [{"key": job.key, "after": list(job.after)} for job in study.plan.jobs]
        found: dict[str, object] = {"name": study.benchmark.name, "store": str(study.store.path), "jobs": jobs}
        found |= {"estimate": [asdict(cost) for cost in costs]} if costs else {}
        found |= {"forecast": asdict(future)} if future else {}
        print(json.dumps(found, indent=1))
    elif not as_json:
        _print_plan(study)
        print("" if missing else f"\nstore: {study.store.path}")
        if costs:
            _print_costs(study, costs)
            _print_forecast(study, future)
        elif study.dataset:
            print("`mlbench plan --estimate` times a sample of every method here and predicts what this costs")
    if missing:
        raise type(missing[0])("nothing of this can run yet: " + "; and ".join(map(str, missing)))


def _print_plan(study: "Study") -> None:
    from tabulate import tabulate

    from mlbench.spec import better_suited

    benchmark, facts, training = study.benchmark, study.recipe.dataset, study.benchmark.training
    rows: list[list[object]] = []
    for method in benchmark.methods:
        counts = [sum(job.method == method.name and job.role == role for job in study.plan.jobs) for role in _ROLES]
        rows.append([method.name, *counts, ", ".join(sorted(method.search)) or "—"])
    rows.append(["all", *(sum(job.role == role for job in study.plan.jobs) for role in _ROLES), ""])
    searched = sum(bool(method.search) for method in benchmark.methods)
    what = "vectors" if facts.vectors else "images"
    print(f"{benchmark.name}: {facts.id}, {facts.items} {what}, {facts.classes} classes, split {benchmark.split.id}")
    print(
        f"{searched} methods with a search × {benchmark.search.trials} trials × {benchmark.folds} folds; "
        f"{len(benchmark.methods)} methods × {benchmark.reproductions} reproductions × {benchmark.folds} folds"
    )
    print(
        f"at most {training.max_epochs * training.iterations_per_epoch} batches of {training.batch_size} a training\n"
    )
    print(tabulate(rows, headers=["method", "trial trainings", "reproduction trainings", "tests", "searched"]))
    if name := better_suited(benchmark):
        print(f"\nfor this dataset there is the benchmark {name}, in which some methods search other spaces")


def _print_costs(study: "Study", costs: list["Estimate"]) -> None:
    from tabulate import tabulate

    from mlbench.execution import device_name

    rows = [[c.method, 1e3 * c.step, 1e3 * c.image, c.least / 3600, c.most / 3600] for c in costs]
    rows.append(["all", None, None, sum(c.least for c in costs) / 3600, sum(c.most for c in costs) / 3600])
    headers = ["method", "ms a batch", "ms an image embedded", "hours at least", "hours at most"]
    print(f"\ntimed on {device_name(study.benchmark)}, a few steps a method; hours are of one worker on it alone:")
    print("at least: every training stops as soon as its patience allows; at most: every one runs to its last epoch")
    if (ranks := study.benchmark.training.ranks) > 1:
        print(
            f"timed in one process with the whole batch, which {ranks} ranks will share; at least: they train "
            f"{ranks} times as fast; at most: they gain nothing"
        )
    print()
    print(tabulate(rows, headers=headers, floatfmt=("", ".1f", ".2f", ".2f", ".2f")))


def _print_forecast(study: "Study", future: "Forecast | None") -> None:
    if future is None:
        print("\nhow many runs go on at once, the cluster knows: say it with --set runtime.workers=N for the wall time")
        return
    runtime = study.benchmark.runtime
    besides = ", besides the time in SLURM's queue" if runtime.executor == "slurm" else ""
    besides += ", if runs that share a GPU do not slow each other" if runtime.slots > 1 else ""
    runs = "one run at a time" if future.workers == 1 else f"{future.workers} runs at once"
    print(f"\n{_hours(future.wall)} hours of wall time with {runs}{besides}")
    if any(future.gpu):
        print(f"{_hours(future.gpu)} GPU hours")


def _hours(seconds: tuple[float, float]) -> str:
    return " to ".join(f"{bound / 3600:.2f}" for bound in seconds)
