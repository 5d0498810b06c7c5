"""Leaderboards on a terminal."""

from pathlib import Path

from mlbench.leaderboard import cost_frame, leaderboard_frame, search_frame
from mlbench.leaderboard.anytime import search_markdown
from mlbench.leaderboard.write import cost_markdown, leaderboard_markdown
from mlbench.store import Store


def print_leaderboard(folder: Path) -> None:
    """Print the leaderboard of a store, how its searches went, and what it cost."""
    store = Store(folder)
    print(leaderboard_markdown(store, leaderboard_frame(store)))
    search = search_frame(store)
    if not search.empty:
        print(search_markdown(store, search))
    print(cost_markdown(store, cost_frame(store)))
