"""Records grouped into rows: one method each."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from mlbench.registry import sources_in, used_plugins
from mlbench.store import Record, Store

#: Metrics of a test record that are reported, besides Recall@K: key and heading.
METRICS = {"map_at_r": "MAP@R", "r_precision": "R-Precision"}
#: Behind the name of a method that used un-packaged code.
MARK = " †"
UNPACKAGED = "un-packaged code: no distribution, no version, known by the hash of its source alone"
#: Entries of a test record that are no metrics.
COUNTS = {"queries", "lone_queries"}


@dataclass
class Row:
    """What the store holds of one method.

    Attributes:
        method: Its name.
        separated: Per reproduction, by metric: the mean over the fold models.
        concatenated: Per reproduction, by metric: of the joined embeddings of the fold models.
        validation: Per reproduction: best validation MAP@R, mean over the folds.
        trials: Number of trials.
        best_trial: The best trial's objective, for the record; it is not one of the reproductions.
        hyperparameters: What the search chose.
        failures: Runs that did not complete, by outcome.
        runs: All runs.
        images: Images seen in training, over all runs.
        cost: Seconds over all runs, peak memory of any, images per second of training.
        plugins: Distributions with version that its runs used besides the harness.
        unpackaged: Ids of un-packaged code that its runs used, and the hashes of their sources.
    """

    method: str
    separated: list[dict[str, float]] = field(default_factory=list)
    concatenated: list[dict[str, float]] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    trials: int = 0
    best_trial: float | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    images: int = 0
    cost: dict[str, float] = field(default_factory=dict)
    plugins: list[str] = field(default_factory=list)
    unpackaged: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The method's name, with a mark if anything of it was un-packaged."""
        return self.method + (MARK if self.unpackaged else "")

    def values(self, metric: str, form: str) -> list[float]:
        """All values of a metric, by reproduction. ``form`` is ``separated`` or ``concatenated``."""
        reproductions: list[dict[str, float]] = getattr(self, form)
        return [found[metric] for found in reproductions]


def rows_of(store: Store) -> list[Row]:
    """One row for every method of the store, in the order of the benchmark's names.

    Raises:
        StoreError: If there is no store or a record cannot be trusted.
    """
    header = store.header
    by_method: dict[str, list[Record]] = {name: [] for name in header["methods"]}
    for record in whole_trainings(store.records()):
        by_method.setdefault(record.method, []).append(record)
    return [_row(name, records, header["methods"].get(name, {})) for name, records in sorted(by_method.items())]


def _row(name: str, records: list[Record], method: dict[str, Any]) -> Row:
    done = sorted((r for r in records if r.outcome == "completed"), key=lambda r: (r.role, r.number, r.run))
    failures: Counter[str] = Counter(record.outcome for record in records if record.outcome != "completed")
    row = Row(name, runs=len(records), failures=dict(failures))
    trials = [record for record in records if record.role == "trial"]
    scores = scores_of(trials)
    row.trials = len(scores)
    row.best_trial = max(scores.values(), default=None)
    searched = sorted(method.get("search", {}))
    best = [record for record in trials if scores[record.number] == row.best_trial]
    row.hyperparameters = _values(min(best, key=lambda record: record.number), searched) if best else {}
    # Where runs were done again, another trial may have become the best: only its reproductions count.
    reproductions = [r for r in records if r.role == "reproduction" and _values(r, searched) == row.hyperparameters]
    row.validation = list(scores_of(reproductions).values())
    models = {record.run for record in reproductions}
    tests = [record for record in done if record.role == "test" and models.issuperset(record.request["models"])]
    row.separated = [_mean_of(record.results["separated"]) for record in tests]
    row.concatenated = [record.results["concatenated"] for record in tests]
    row.images = sum(int(record.results.get("images", 0)) for record in done)
    row.cost = _cost(records)
    row.plugins = used_plugins([line for record in records for line in record.provenance])
    for record in records:
        row.unpackaged |= sources_in(record.request)
    return row


def whole_trainings(records: Iterable[Record]) -> list[Record]:
    """Of a training that was done in parts the last one alone: its results and its cost are those of all."""
    last: dict[Any, Record] = {}
    for record in records:
        part = record.rung is not None
        key = (record.method, record.number, record.fold) if part else record.run
        if key not in last or (record.rung or 0) > (last[key].rung or 0):
            last[key] = record
    return list(last.values())


def scores_of(records: Iterable[Record]) -> dict[int, float]:
    """Mean over the folds of the best validation MAP@R, by number; a failed training counts 0.

    Added up fold by fold, as the protocol does: of two trials that are equal but for rounding, it must be the same that
    is the best one here and there.
    """
    folds: dict[int, list[float]] = {}
    for record in sorted(records, key=lambda record: (record.number, record.request["job"]["fold"], record.run)):
        folds.setdefault(record.number, []).append(record.score or 0.0)
    return {number: sum(scores) / len(scores) for number, scores in folds.items()}


def _mean_of(results: list[dict[str, float]]) -> dict[str, float]:
    return {metric: fmean(result[metric] for result in results) for metric in results[0]}


def _values(record: Record, paths: list[str]) -> dict[str, Any]:
    return {path: _at(record.request, path) for path in paths}


def _at(request: dict[str, Any], path: str) -> Any:
    """The value that a searched path has in a request."""
    *parents, last = path.split(".")
    if parents == ["loss_optimizer"]:
        return request["training"]["loss_optimizer"][last]
    table: Any = request
    for parent in parents:
        table = table[parent]["arguments"]
    return table[last]


def _cost(records: list[Record]) -> dict[str, float]:
    trainings = [record for record in records if record.cost.get("training_seconds")]
    seconds = sum(record.cost["training_seconds"] for record in trainings)
    images = sum(record.results.get("images", 0) for record in trainings)
    return {
        "seconds": sum(record.cost.get("seconds", 0.0) for record in records),
        "peak_memory": max((record.cost.get("peak_memory", 0.0) for record in records), default=0.0),
        "images_per_second": images / seconds if seconds else 0.0,
    }
