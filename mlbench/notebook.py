"""The harness from Python: for notebooks and scripts."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbench.evaluation import evaluate as evaluate
from mlbench.execution import Summary, open_study, run_plan
from mlbench.execution.watch import Events, Watch
from mlbench.leaderboard import leaderboard_frame, write_leaderboard
from mlbench.protocols import Plan
from mlbench.registry import refuse_broken, use_file
from mlbench.reports import write_intervals
from mlbench.spec import load_benchmark
from mlbench.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """Where the records of a run are, and how it went."""

    store: Path
    summary: Summary

    @property
    def leaderboard(self) -> "pd.DataFrame":
        """The leaderboard, best method first."""
        return leaderboard_frame(Store(self.store))


def run(
    benchmark: str | Path | Mapping[str, Any],
    *,
    overrides: Iterable[str] = (),
    store: str | Path | None = None,
    retry_failed: bool = False,
    watch: Watch | None = None,
    plugins: Iterable[str | Path] = (),
) -> Result:
    """Run a benchmark, or what is left of it, and write its leaderboard into its store.

    Args:
        benchmark: Name of a shipped benchmark, path of a TOML file, or its tables as a dictionary.
        overrides: ``key=value`` as with ``--set``.
        store: Folder for the records; by default ``mlbench-runs/<name>-<digest>``.
        retry_failed: Do runs again that failed, diverged or collapsed.
        watch: Is told what happens; by default nobody.
        plugins: Python files whose classes the benchmark names as ``file:Class``, as with ``--plugin``.

    Raises:
        MlbenchError: With a message for the user; see `mlbench.api.errors`.
        KeyboardInterrupt: The same call resumes.

    >>> import mlbench
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     result = mlbench.run("smoke", store=folder)
    ...     result.summary.failed, list(mlbench.leaderboard(folder).method)
    ({}, ['Untrained'])
    """
    for file in plugins:
        use_file(file)
    refuse_broken()
    study = open_study(load_benchmark(benchmark, overrides), store, watch)
    with closing(Events(study.store.path / "events.jsonl", watch or Watch())) as events:
        summary = run_plan(study, events, retry_failed=retry_failed, publish=_publish)
    return Result(study.store.path, summary)


def _publish(store: Store) -> None:
    write_leaderboard(store, store.path)
    write_intervals(store, store.path)


def plan(
    benchmark: str | Path | Mapping[str, Any],
    *,
    overrides: Iterable[str] = (),
    plugins: Iterable[str | Path] = (),
) -> Plan:
    """The jobs of a benchmark; nothing is run or written. The arguments are those of `run`.

    >>> len(plan("smoke"))
    10
    """
    for file in plugins:
        use_file(file)
    return open_study(load_benchmark(benchmark, overrides)).plan
