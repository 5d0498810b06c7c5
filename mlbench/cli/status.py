"""``mlbench status``."""

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from mlbench.cli.options import AsJson, BenchmarkName, Overrides, PluginFiles, StoreFolder

if TYPE_CHECKING:
    from mlbench.execution import Study
    from mlbench.store import Record, Store


def command(
    benchmark: BenchmarkName,
    set_: Overrides = None,
    store: StoreFolder = None,
    plugin: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """Show how far a benchmark is, what runs now, what failed and what it cost, from its store alone."""
    from tabulate import tabulate

    from mlbench.execution import open_study
    from mlbench.execution.watch import in_time
    from mlbench.leaderboard.rows import whole_trainings
    from mlbench.spec import load_benchmark
    from mlbench.store import in_words

    study = open_study(load_benchmark(benchmark, set_ or []), store)
    _check_plan(study)
    methods = {method.name for method in study.benchmark.methods}
    records = [record for record in study.store.records() if record.method in methods]
    rows, running, aside = _methods(study, records), _running(study.store), dict(study.store.quarantine)
    trainings = whole_trainings(records)
    spent = {name: sum(record.cost.get(name, 0.0) for record in trainings) for name in ("seconds", "gpu_seconds")}
    left = _seconds_left(study, records, max(1, len(running)))
    if as_json:
        found = {"methods": rows, "running": running, "quarantine": aside, "spent": spent, "seconds_left": left}
        skipped = list(study.recipe.dataset.skipped)
        print(json.dumps({"store": str(study.store.path), **found, "skipped": skipped}, indent=1))
        return
    print(tabulate([row | {"reasons": in_words(row["reasons"])} for row in rows], headers="keys"))
    for job in running:
        at = f"epoch {job['epoch']}, batch {job['step']}, " if "epoch" in job else ""
        print(
            f"running: {job['job']} ({at}heartbeat {job['heartbeat']:.0f} s ago, {job['node']}, process {job['pid']})"
        )
    for name, why in aside.items():
        print(f"set aside: {name}: {why}")
    if study.recipe.dataset.skipped:
        print(f"skipped as damaged: {', '.join(study.recipe.dataset.skipped)}")
    gpu = f", {spent['gpu_seconds'] / 3600:.2f} GPU hours" if spent["gpu_seconds"] else ""
    print(f"\nleft: {in_time(left)}; spent: {in_time(spent['seconds'])} of one worker{gpu}")
    print(f"store: {study.store.path}")


def _spared(study: "Study", records: list["Record"], method: str) -> int:
    """Jobs of complete generations that had nothing left to do, since their trials were stopped early."""
    started = {(r.number, r.fold) for r in records if r.method == method and r.role == "reproduction"}
    if not started:
        return 0
    done = sum(record.method == method and record.rung is not None for record in records)
    return sum(job.method == method and job.rung is not None for job in study.plan.jobs) - done


def _methods(study: "Study", records: list["Record"]) -> list[dict[str, Any]]:
    """Jobs of every method: all, done, failed and why, left."""
    found = {method.name: Counter[str]() for method in study.benchmark.methods}
    for record in records:
        why = record.why if record.outcome != "completed" else "completed"
        found[record.method][why] += 1
    rows: list[dict[str, Any]] = []
    for method in study.benchmark.methods:
        total = sum(job.method == method.name for job in study.plan.jobs)
        reasons = dict(found[method.name])
        done = reasons.pop("completed", 0)
        failed = sum(reasons.values())
        left = total - done - failed - _spared(study, records, method.name)
        rows.append(
            {"method": method.name, "jobs": total, "done": done, "failed": failed, "left": left, "reasons": reasons}
        )
    return rows


def _running(store: "Store") -> list[dict[str, Any]]:
    """Who works on what, how far they are, and how many seconds ago they last showed life."""
    kept = ("job", "node", "pid", "epoch", "step")
    return [
        {name: content[name] for name in kept if name in content} | {"heartbeat": max(0.0, time.time() - beat)}
        for _, content, beat in store.leases.held()
        if "job" in content
    ]


def _seconds_left(study: "Study", records: list["Record"], workers: int) -> float | None:
    """From the mean cost of the jobs of each role that are done; None before the first of a role that is left."""
    from mlbench.leaderboard.rows import whole_trainings

    seconds: dict[str, float] = {}
    for record in whole_trainings(records):
        seconds[record.role] = seconds.get(record.role, 0.0) + record.cost.get("seconds", 0.0)
    done = Counter(record.role for record in records)
    open_jobs = Counter[str](job.role for job in study.plan.jobs)
    open_jobs.subtract(done)
    open_jobs["trial"] -= sum(_spared(study, records, method.name) for method in study.benchmark.methods)
    left = {role: count for role, count in open_jobs.items() if count > 0}
    if left.keys() - seconds.keys():
        return None
    return sum(count * seconds[role] / done[role] for role, count in left.items()) / workers


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
