"""Leaderboards on a terminal."""

import shutil
import sys
from pathlib import Path

from mlbench.cli.fitting import fitted
from mlbench.leaderboard import cost_frame, leaderboard_frame, search_frame
from mlbench.leaderboard.anytime import search_markdown
from mlbench.leaderboard.write import cost_markdown, leaderboard_markdown
from mlbench.store import Store


def print_leaderboard(folder: Path) -> None:
    """Print the leaderboard of a store, how its searches went, and what it cost; on a terminal as wide as that is."""
    store = Store(folder)
    parts = [leaderboard_markdown(store, leaderboard_frame(store))]
    search = search_frame(store)
    if not search.empty:
        parts.append(search_markdown(store, search))
    parts.append(cost_markdown(store, cost_frame(store)))
    for text in parts:
        print(fitted(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)
