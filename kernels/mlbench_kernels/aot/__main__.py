"""`python -m mlbench_kernels.aot`: compile without a GPU, report, compare with a committed report."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

from . import ARCHITECTURES, compare, load, make_report, save, shipped
from .report import Report


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where the report differs from the one to check against."""
    parser = argparse.ArgumentParser(prog="python -m mlbench_kernels.aot", description=__doc__)
    parser.add_argument("--arch", type=int, nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    parser.add_argument("--only", default="", metavar="TEXT", help="only kernels whose names contain it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report; what FILE has besides, stays")
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with this report")
    options = parser.parse_args(arguments)
    report = make_report(chain.from_iterable(shipped(arch, options.only) for arch in options.arch), _print)
    differences = compare(load(options.check), report) if options.check else []
    if options.json:
        save(options.json, _merge(load(options.json), report) if options.json.exists() else report)
    for line in differences:
        print(line, file=sys.stderr)
    return 1 if differences else 0


def _print(line: str) -> None:
    print(line, flush=True)


def _merge(before: Report, report: Report) -> Report:
    """`report`, and the entries of `before` that it lacks; those of another compiler are not comparable and go."""
    if any(before[key] != report[key] for key in ("triton", "instructions")):
        return report
    kernels = {name: {**before["kernels"].get(name, {}), **entry} for name, entry in report["kernels"].items()}
    return {**report, "kernels": {**before["kernels"], **kernels}}


if __name__ == "__main__":
    sys.exit(main())
