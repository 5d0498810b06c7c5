"""``mlbench status``."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from mlbench.cli.options import AsJson, BenchmarkName, Overrides, PluginFiles, StoreFolder

if TYPE_CHECKING:
    from mlbench.execution import Study


def command(
    benchmark: BenchmarkName,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """Show how far a benchmark is, from its records alone."""
    from tabulate import tabulate

    from mlbench.execution import open_study
    from mlbench.spec import load_benchmark
    from mlbench.store import in_words

    study = open_study(load_benchmark(benchmark, set_ or []), store)
    _check_plan(study)
    found = {method.name: Counter[str]() for method in study.benchmark.methods}
    for record in study.store.records():
        found.setdefault(record.method, Counter())[record.outcome] += 1
    rows: list[dict[str, Any]] = []
    for method in study.benchmark.methods:
        total = sum(job.method == method.name for job in study.plan.jobs)
        reasons = dict(found[method.name])
        done = reasons.pop("completed", 0)
        failed = sum(reasons.values())
        left = total - done - failed
        rows.append(
            {"method": method.name, "jobs": total, "done": done, "failed": failed, "left": left, "reasons": reasons}
        )
    skipped = list(study.recipe.dataset.skipped)
    if as_json:
        print(json.dumps({"store": str(study.store.path), "methods": rows, "skipped": skipped}, indent=1))
    else:
        print(tabulate([row | {"reasons": in_words(row["reasons"])} for row in rows], headers="keys"))
        print(f"\nstore: {study.store.path}")
        if skipped:
            print(f"skipped as damaged: {', '.join(skipped)}")


def _check_plan(study: "Study") -> None:
    """Refuse to count the records of another plan as this one's."""
    from mlbench.api.errors import StoreError
    from mlbench.spec import digest

    store = study.store
    if (store.path / "store.json").exists() and store.header["digest"] != digest(study.recipe.identity()):
        raise StoreError(
            f"{store.path}: belongs to another plan; give the benchmark and --set that it was run with, "
            f"or choose another --store"
        )
