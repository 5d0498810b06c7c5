"""Leaderboards and progress on a terminal: nothing wider than it is."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from mlbench.cli.fitting import fitted
from mlbench.execution.displays import Bar

PAGES = sorted((Path(__file__).parents[2] / "leaderboards/reality-check").glob("*/*.md"))


@pytest.mark.parametrize("width", [80, 120])
def test_committed_pages_fit_and_keep_every_row(width):
    assert PAGES
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = fitted(text, width)
        assert max(map(len, shown.splitlines())) <= width, page
        assert shown.count("NT-Xent") == text.count("NT-Xent")


def test_what_is_left_out_is_named():
    text = fitted("| method | MAP@R | Recall@1 | n |\n|---|---|---|---|\n| Triplet | 31.41 ± 1.20 | 60.00 | 5 |\n", 28)
    assert text.splitlines() == [
        "method    MAP@R         n",
        "--------  ------------  ---",
        "Triplet   31.41 ± 1.20  5",
        "not shown: Recall@1",
    ]


def test_the_display_says_on_80_columns_how_far_it_is(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=screen, width=80, force_terminal=True))
    bar = Bar()
    bar.begin(total=1234, closed=0)
    bar.started("Contrastive/reproduction-1/fold-3", "run")
    bar.failed("Contrastive/reproduction-0/fold-3", "diverged", 1.0, cached=False)
    bar.finished("Contrastive/reproduction-1/fold-3", 0.5, 1.0, cached=False)
    bar._progress.refresh()
    bar.close()
    shown = screen.getvalue()
    assert "2/1234 jobs, 1 failed, 0 running, " in shown and " left" in shown
    assert "Contrastive/reproduction-1/fold-3" in shown
