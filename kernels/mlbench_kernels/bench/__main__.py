"""`python -m mlbench_kernels.bench`: check every operation against float64 and time it beside its peers.

On a machine with a CUDA GPU, there; otherwise, or with --cpu, on the CPU with one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import torch

from .case import EXACT, PRODUCT, Case
from .cases import all_cases
from .environment import environment, slug
from .report import Results, bar_table, measured_table
from .rows import Contestant, Row
from .worker import Group, Options, Worker

_BUDGET = 420.0  # seconds on a GPU
_PATIENCE = {"cpu": 600.0, "cuda": 90.0}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where an operation of ours raised an exception or is wrong; missed bars are only said."""
    options = _parser().parse_args(arguments)
    device = "cpu" if options.cpu or not torch.cuda.is_available() else "cuda"
    cases = all_cases()
    groups = [group for group in in_order(cases, device) if options.only in str(group)]
    if not groups:
        names = ", ".join(case.operation for case in cases)
        print(f"--only: nothing contains {options.only!r}; there are {names}", file=sys.stderr)
        return 2
    results = Results(device, environment(device, options.cold))
    files = _files(options, results)
    if options.only and files[0] and files[0].exists():  # a part; what else was measured on the same stays
        earlier = Results.load(files[0])
        results.rows = earlier.rows if earlier.environment == results.environment else []
    _greet(results)
    budget = options.budget or (_BUDGET if device == "cuda" else float("inf"))
    with closing(Worker(Options(device, options.cold, _threads(), _PATIENCE[device]))) as worker:
        measure_all(worker, groups, time.monotonic() + budget, results, *files)
    print(bar_table(cases, [results], device))
    failed = [row for row in results.rows if row.failed]
    for row in failed:
        print(f"{row.operation} {row.shape} {row.precision}: {row.error or 'wrong'}", file=sys.stderr)
    return 1 if failed else 0


def measure_all(
    worker: Worker, groups: list[Group], end: float, results: Results, json_file: Path | None, csv_file: Path | None
) -> None:
    """Add the rows of every group to `results`, and write and print them as they come."""
    for group in groups:
        print(f"{group} …", file=sys.stderr, flush=True)
        rows = run(worker, group, end)
        results.put(rows)
        results.save(json_file, csv_file)
        print(measured_table(rows) + "\n", flush=True)


def in_order(cases: list[Case], device: str) -> Iterator[Group]:
    """Every case's most important shape first, then every case's second."""
    lists = [[Group(case.operation, shape) for shape in (case.gpu if device == "cuda" else case.cpu)] for case in cases]
    return (group for rank in zip_longest(*lists) for group in rank if group is not None)


def run(worker: Worker, group: Group, end: float) -> list[Row]:
    """The rows of a group, unless the time is up."""
    if time.monotonic() > end:
        who = Contestant(group.case.providers[0].name, EXACT)
        return [Row.of(group.operation, who, group.shape, error="not run: the time was up")]
    rows = worker.measure(group)
    if worker.options.device == "cuda":
        return rows
    return [
        replace(row, peak_bytes=worker.peak(group, Contestant(row.provider, row.precision)))
        if row.seconds and row.provider != PRODUCT
        else row
        for row in rows
    ]


def _greet(results: Results) -> None:
    print(", ".join(f"{name} {value}" for name, value in results.environment.items()) + "\n", flush=True)
    if results.kind == "cpu" and (_threads() or 1) != 1:
        print(f"OMP_NUM_THREADS is {_threads()}: the bars are for one thread, where they say nothing else\n")


def _files(options: argparse.Namespace, results: Results) -> tuple[Path | None, Path | None]:
    """Where JSON and CSV go, if anywhere."""
    folder = options.folder and options.folder / slug(results.environment["device"])
    return options.json or (folder and folder / "bench.json"), options.csv or (folder and folder / "bench.csv")


def _threads() -> int | None:
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mlbench_kernels.bench", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="measure on the CPU even where there is a GPU")
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help='only what contains it, such as "semi-hard N=2048"; other rows of the files stay',
    )
    parser.add_argument("--cold", action="store_true", help="on a GPU, overwrite the L2 cache before each call")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help=f"start nothing after; GPU: {_BUDGET:.0f}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    folder = os.environ.get("OUT")
    parser.add_argument(
        "--folder", type=Path, default=Path(folder) if folder else None,
        help="write DEVICE/bench.json and DEVICE/bench.csv here; default: $OUT, if set",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
