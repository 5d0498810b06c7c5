"""Which store a command means, and what is in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mlbench.cli.options import Overrides, StoreFolder

if TYPE_CHECKING:
    from mlbench.store import Record, Store

StoreOrBenchmark: TypeAlias = Annotated[
    str, typer.Argument(metavar="STORE|BENCHMARK", help="A store's folder, or the benchmark that is run in one.")
]


def store_of(name: str, overrides: Overrides, folder: StoreFolder) -> "Store":
    """The store that a folder is, or that a benchmark is run in.

    Raises:
        StoreError: If there is none.
    """
    from mlbench.store import Store

    if folder is None and (Path(name) / "store.json").is_file():
        folder = name
    if folder is None:
        from mlbench.execution import open_study
        from mlbench.spec import load_benchmark

        store = open_study(load_benchmark(name, overrides or [])).store
    else:
        store = Store(folder)
    _ = store.header  # a clear word where there is no store
    return store


def job_of(record: "Record") -> str:
    """Key of the job that a record is of."""
    from mlbench.protocols.job import job_key

    return job_key(record.method, record.role, record.number, record.fold, record.rung)


def events_of(store: "Store") -> Iterator[dict[str, Any]]:
    """Everything that happened, in order; a line that a crash cut off is left out."""
    file = store.path / "events.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue
