"""``mlbench status``."""

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from mlbench.cli.options import AsJson, BenchmarkName, Overrides, PluginFiles, StoreFolder
from mlbench.cli.stores import job_of

if TYPE_CHECKING:
    from mlbench.execution import Study
    from mlbench.protocols import Job
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
    left, impossible = _open(study, records)
    rows, running, aside = (
        _methods(study, records, left, impossible),
        _running(study.store),
        dict(study.store.quarantine),
    )
    trainings = whole_trainings(records)
    spent = {name: sum(record.cost.get(name, 0.0) for record in trainings) for name in ("seconds", "gpu_seconds")}
    seconds_left = _seconds_left(records, left, max(1, len(running)))
    if as_json:
        found = {"methods": rows, "running": running, "quarantine": aside, "spent": spent, "seconds_left": seconds_left}
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
    print(f"\nleft: {in_time(seconds_left)}; spent: {in_time(spent['seconds'])} of one worker{gpu}")
    print(f"store: {study.store.path}")


def _open(study: "Study", records: list["Record"]) -> tuple[list["Job"], list["Job"]]:
    """Jobs without a record: those that are left, and those that a failure before them makes impossible.

    Parts of trials that were stopped early are neither, once the search is over.
    """
    recorded = {job_of(record) for record in records}
    lost = {job_of(record) for record in records if record.outcome != "completed"}
    searched = {record.method for record in records if record.role == "reproduction"}
    left: list[Job] = []
    impossible: list[Job] = []
    for job in study.plan.jobs:
        if job.key in recorded or (job.rung is not None and job.method in searched):
            continue
        # A test needs all of its models, a reproduction one good trial; a trial can always be tried.
        enough = {"trial": False, "reproduction": bool(job.after) and lost.issuperset(job.after)}
        if enough.get(job.role, not lost.isdisjoint(job.after)):
            lost.add(job.key)
            impossible.append(job)
        else:
            left.append(job)
    return left, impossible


def _methods(
    study: "Study", records: list["Record"], left: list["Job"], impossible: list["Job"]
) -> list[dict[str, Any]]:
    """Jobs of every method: all, done, failed and why, left."""
    found = {method.name: Counter[str]() for method in study.benchmark.methods}
    for record in records:
        found[record.method][record.why if record.outcome != "completed" else "completed"] += 1
    for job in impossible:
        found[job.method]["impossible"] += 1
    jobs, still = (Counter(job.method for job in some) for some in (study.plan.jobs, left))
    return [
        {
            "method": method,
            "jobs": jobs[method],
            "done": reasons.pop("completed", 0),
            "failed": reasons.total(),
            "left": still[method],
            "reasons": dict(reasons),
        }
        for method, reasons in found.items()
    ]


def _running(store: "Store") -> list[dict[str, Any]]:
    """Who works on what, how far they are, and how many seconds ago they last showed life."""
    kept = ("job", "node", "pid", "epoch", "step")
    return [
        {name: content[name] for name in kept if name in content} | {"heartbeat": max(0.0, time.time() - beat)}
        for _, content, beat in store.leases.held()
        if "job" in content
    ]


def _seconds_left(records: list["Record"], left: list["Job"], workers: int) -> float | None:
    """From the mean cost of the jobs of each role that are done; None before the first of a role that is left."""
    from mlbench.leaderboard.rows import whole_trainings

    seconds: dict[str, float] = {}
    for record in whole_trainings(records):
        seconds[record.role] = seconds.get(record.role, 0.0) + record.cost.get("seconds", 0.0)
    done, roles = (Counter(one.role for one in some) for some in (records, left))
    if roles.keys() - seconds.keys():
        return None
    return sum(count * seconds[role] / done[role] for role, count in roles.items()) / workers


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
