"""`python -m mlbench_kernels.bench.readme PAGE RESULTS...`: put the measured bars into a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .cases import all_cases
from .report import Results, bar_table

_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


def render(page: str, results: Sequence[Results]) -> str:
    """`page` with the table between its marks made anew.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"no {_BEGIN} and {_END} in the page")
    return f"{before}{begin}\n{bar_table(all_cases(), results)}\n{end}{after}"


if __name__ == "__main__":
    file, *committed = (Path(argument) for argument in sys.argv[1:])
    text = file.read_text(encoding="utf-8")
    file.write_text(render(text, [Results.load(result) for result in committed]), encoding="utf-8")
