"""``mlbench plan``."""

import json

from mlbench.cli.options import AsJson, BenchmarkName, Overrides, PluginFiles, StoreFolder


def command(
    benchmark: BenchmarkName,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """Show what a benchmark would run; nothing is run or written."""
    show_plan(benchmark, set_ or [], store, as_json)


def show_plan(benchmark: str, overrides: list[str], store: str | None, as_json: bool) -> None:
    """Print the plan as a table, or every job as JSON."""
    from tabulate import tabulate

    from mlbench.execution import open_study
    from mlbench.spec import load_benchmark

    study = open_study(load_benchmark(benchmark, overrides), store)
    if as_json:
        jobs = [{"key": job.key, "after": list(job.after)} for job in study.plan.jobs]
        print(json.dumps({"name": study.benchmark.name, "store": str(study.store.path), "jobs": jobs}, indent=1))
        return
    rows: list[list[object]] = []
    roles = ("trial", "reproduction", "test")
    for method in study.benchmark.methods:
        counts = [sum(job.method == method.name and job.role == role for job in study.plan.jobs) for role in roles]
        searched = ", ".join(sorted(method.search)) or "—"
        rows.append([method.name, *counts, searched])
    rows.append(["all", *(sum(job.role == role for job in study.plan.jobs) for role in roles), ""])
    facts, training = study.recipe.dataset, study.benchmark.training
    print(f"{study.benchmark.name}: {facts.id}, {facts.items} images, {facts.classes} classes")
    print(
        f"at most {training.max_epochs * training.iterations_per_epoch} batches of {training.batch_size} a training\n"
    )
    print(tabulate(rows, headers=["method", "trial trainings", "reproduction trainings", "tests", "searched"]))
    print(f"\nstore: {study.store.path}")
