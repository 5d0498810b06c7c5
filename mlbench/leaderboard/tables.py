"""Rows as data frames: the results, which are the same on every run, and the cost, which is not."""

import json
from typing import Any

import pandas as pd

from mlbench.leaderboard.rows import COUNTS, METRICS, Row, rows_of
from mlbench.leaderboard.statistics import t_interval
from mlbench.store import Store

#: The two results of the Reality Check.
FORMS = ("separated", "concatenated")
#: Columns that say where a method's components come from; files have them only where there is something to say.
ORIGINS = ("plugins", "unpackaged")


def metric_names(store: Store) -> dict[str, str]:
    """Reported metrics and their headings: MAP@R, R-Precision, Recall@K in order of K, then the recipe's own."""
    evaluation = store.header["recipe"]["evaluation"]
    known = METRICS | {f"recall_at_{k}": f"Recall@{k}" for k in sorted(evaluation["recall_at"])}
    if not evaluation.get("metrics"):
        return known
    found = {name for row in rows_of(store) for result in row.concatenated for name in result}
    return known | {name: name for name in sorted(found - known.keys() - COUNTS)}


def leaderboard_frame(store: Store) -> pd.DataFrame:
    """One row a method, best separated MAP@R first.

    Columns: ``rank``, ``method``, ``n`` (reproductions), for both forms and every metric ``<form>.<metric>`` (mean),
    ``….half`` (half width of the 95% t-interval) and ``….values``; ``validation_map_at_r``, ``trials``,
    ``best_trial``, ``hyperparameters``, ``runs``, ``failures``, ``training_images``; ``plugins`` (distribution
    and version) and ``unpackaged`` (id, source hash) that the runs used besides the harness.

    Raises:
        StoreError: If there is no store or a record cannot be trusted.
    """
    metrics = metric_names(store)
    table = [_results(row, list(metrics)) for row in rows_of(store)]
    table.sort(key=lambda line: (-line["separated.map_at_r"] if line["n"] else 1.0, line["method"]))
    return pd.DataFrame([{"rank": place, **line} for place, line in enumerate(table, 1)])


def cost_frame(store: Store) -> pd.DataFrame:
    """What every method cost: ``runs``, ``hours`` of all runs, ``peak_memory_mib``, ``images_per_second``."""
    return pd.DataFrame(
        {
            "method": row.method,
            "runs": row.runs,
            "hours": row.cost["seconds"] / 3600,
            "peak_memory_mib": row.cost["peak_memory"] / 2**20,
            "images_per_second": row.cost["images_per_second"],
        }
        for row in rows_of(store)
    )


def _results(row: Row, metrics: list[str]) -> dict[str, Any]:
    line: dict[str, Any] = {"method": row.method, "n": len(row.separated)}
    for form in FORMS:
        for metric in metrics:
            values = row.values(metric, form)
            interval = t_interval(values)
            name = f"{form}.{metric}"
            line |= {name: interval.mean, f"{name}.half": interval.half, f"{name}.values": values}
    return line | {
        "validation_map_at_r": t_interval(row.validation).mean,
        "trials": row.trials,
        "best_trial": row.best_trial,
        "hyperparameters": json.dumps(row.hyperparameters, sort_keys=True),
        "runs": row.runs,
        "failures": sum(row.failures.values()),
        "training_images": row.images,
        "plugins": ", ".join(row.plugins),
        "unpackaged": ", ".join(f"{name} (source {source[:12]})" for name, source in sorted(row.unpackaged.items())),
    }
