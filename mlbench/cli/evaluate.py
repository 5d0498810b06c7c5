"""``mlbench evaluate``."""

import json
from typing import Annotated

import typer

from mlbench.cli.options import AsJson


def command(
    file: Annotated[
        str, typer.Argument(help="An .npz with embeddings [N, D] and labels [N]; gallery, gallery_labels too.")
    ],
    recall_at: Annotated[list[int] | None, typer.Option(help="K of Recall@K. Repeatable. Default: 1 2 4 8.")] = None,
    all_ranks: Annotated[bool, typer.Option("--all-ranks", help="MAP and MRR too; takes longer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Exact Recall@K, R-Precision and MAP@R of anybody's embeddings."""
    from mlbench.evaluation import evaluate_file

    found = evaluate_file(file, tuple(recall_at or (1, 2, 4, 8)), all_ranks)
    values = {f"Recall@{k}": value for k, value in found.recall_at.items()}
    values |= {"R-Precision": found.r_precision, "MAP@R": found.map_at_r}
    if found.mean_average_precision is not None and found.mean_reciprocal_rank is not None:
        values |= {"MAP": found.mean_average_precision, "MRR": found.mean_reciprocal_rank}
    if as_json:
        print(json.dumps({**values, "queries": found.queries, "lone_queries": found.lone_queries}, indent=1))
        return
    for name, value in values.items():
        print(f"{name:12} {100 * value:7.3f} %")
    lone = f"; {found.lone_queries} without a positive left out" if found.lone_queries else ""
    print(f"{found.queries} queries{lone}")
