"""How a search went: the best so far against trials, images seen in training, and seconds."""

from itertools import groupby
from typing import Any

import pandas as pd

from mlbench.leaderboard.markdown import table
from mlbench.leaderboard.rows import scores_of, whole_trainings
from mlbench.store import Record, Store

#: Shares of the final best whose first reaching is reported.
_SHARES = (0.95, 0.99)


def search_frame(store: Store) -> pd.DataFrame:
    """One row a trial, by method and number, as if the trials had been done one after the other.

    Columns: ``method``, ``trial``, ``map_at_r`` (the objective: mean over the folds of the best validation), ``best``
    so far, ``images`` seen in training so far, ``stopped`` (how many of its trainings were not continued to the last
    part), ``seconds`` of one worker so far. A training that failed counts 0, and of its images nothing is known.

    Raises:
        StoreError: If there is no store or a record cannot be trusted.
    """
    trials = [record for record in whole_trainings(store.records()) if record.role == "trial"]
    trials.sort(key=lambda record: (record.method, record.number, record.run))
    parts = len(store.header["recipe"]["search"].get("stopping", {}).get("epochs", ())) + 1
    lines: list[dict[str, Any]] = []
    for method, of_method in groupby(trials, key=lambda record: record.method):
        lines += _lines(method, list(of_method), parts)
    return pd.DataFrame(lines)


def _lines(method: str, trials: list[Record], parts: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    best, images, seconds = 0.0, 0, 0.0
    for number, score in scores_of(trials).items():
        of_trial = [record for record in trials if record.number == number]
        best = max(best, score)
        images += sum(int(record.results.get("images", 0)) for record in of_trial)
        seconds += sum(record.cost.get("seconds", 0.0) for record in of_trial)
        stopped = sum(record.rung is not None and record.rung + 1 < parts for record in of_trial)
        line = {"method": method, "trial": number, "map_at_r": score, "best": best, "images": images}
        lines.append(line | {"stopped": stopped, "seconds": seconds})
    return lines


def search_markdown(store: Store, frame: pd.DataFrame) -> str:
    """When every method's search had found most of what it found in the end, as Markdown."""
    rows = [_summary(str(method), of_method) for method, of_method in frame.groupby("method", sort=True)]
    note = "Trials after which the best so far was near the final one, and their share of all images seen in training."
    return f"# {store.header['name']}: search\n\n{note}\n\n{table(rows)}\n"


def _summary(method: str, trials: pd.DataFrame) -> dict[str, Any]:
    last = trials.iloc[-1]
    row = {"Method": method, "Trials": len(trials), "Best": f"{100 * last['best']:.2f}"}
    for share in _SHARES:
        first = int((trials["best"] >= share * last["best"]).to_numpy().argmax())
        seen = trials.iloc[first]["images"] / last["images"] if last["images"] else 1.0
        row[f"{share:.0%} of it"] = f"{first + 1} ({seen:.0%})"
    return row | {"Images": f"{last['images']:,}", "Stopped early": int(trials["stopped"].sum())}
