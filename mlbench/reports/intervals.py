"""The leaderboard as one picture: every method's mean, its 95% interval and every single reproduction."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlbench.leaderboard import Row, rows_of, t_interval
from mlbench.leaderboard.rows import MARK, UNPACKAGED
from mlbench.store import Store
from mlbench.store.atomic import write_text

#: Without a fixed salt and with a date, two equal pictures would have different bytes.
_SAME_BYTES: dict[Any, Any] = {"svg.hashsalt": "mlbench", "svg.fonttype": "none"}
_TITLES = {"separated": "separated: mean of the fold models", "concatenated": "concatenated: their joined embeddings"}


def write_intervals(store: Store, folder: str | Path) -> Path:
    """Write ``leaderboard.svg`` into ``folder``: MAP@R of both forms, best method on top.

    The same records give the same bytes.

    Returns:
        The file.

    Raises:
        StoreError: If the store cannot be read or the file cannot be written.
    """
    rows = [row for row in rows_of(store) if row.separated]
    rows.sort(key=lambda row: (t_interval(row.values("map_at_r", "separated")).mean, row.method))
    target = Path(folder) / "leaderboard.svg"
    with mpl.rc_context(_SAME_BYTES):
        figure = Figure(figsize=(10, 1.4 + 0.32 * len(rows)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for panel, form in zip(axes, _TITLES, strict=True):
            _panel(panel, rows, form)
        figure.suptitle(f"{store.header['name']}: MAP@R on unseen classes, 95% Student-t intervals")
        if any(row.unpackaged for row in rows):
            figure.supxlabel(f"{MARK.strip()} {UNPACKAGED}", fontsize="small")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    # matplotlib ends some lines with spaces; version control dislikes that.
    write_text(target, "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n")
    return target


def _panel(axes: Axes, rows: list[Row], form: str) -> None:
    for place, row in enumerate(rows):
        values = row.values("map_at_r", form)
        interval = t_interval(values)
        axes.plot([100 * value for value in values], [place] * len(values), ".", color="#9aa5b1", zorder=1)
        bar: dict[str, Any] = {"fmt": "o", "markersize": 5, "capsize": 3, "color": "#1f4e79", "zorder": 2}
        axes.errorbar(100 * interval.mean, place, xerr=100 * (interval.half or 0.0), **bar)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_xlabel("MAP@R (%)")
    axes.set_title(_TITLES[form], fontsize="medium")
    axes.grid(axis="x", color="#e3e7eb")
    axes.set_axisbelow(True)
