"""``mlbench leaderboard``."""

from pathlib import Path
from typing import Annotated

import typer

from mlbench.cli.options import AsJson


def command(
    store: Annotated[str, typer.Argument(help="Folder of a store, or of a published leaderboard.")],
    publish: Annotated[str | None, typer.Option(help="Write tables and packed records into this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a store's leaderboard again from its records, and print it."""
    from mlbench.cli.tables import print_leaderboard
    from mlbench.leaderboard import leaderboard_frame, write_leaderboard
    from mlbench.leaderboard import publish as publish_store
    from mlbench.reports import write_intervals
    from mlbench.store import Store

    target = Path(publish or store)
    if publish:
        publish_store(Store(store), publish)
    else:
        write_leaderboard(Store(store), store)
    write_intervals(Store(target), target)
    if as_json:
        print(leaderboard_frame(Store(target)).to_json(orient="records", indent=1))
    else:
        print_leaderboard(target)
