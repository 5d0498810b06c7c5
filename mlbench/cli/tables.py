"""Leaderboards on a terminal."""

from pathlib import Path

from mlbench.leaderboard import cost_frame, leaderboard_frame
from mlbench.leaderboard.write import cost_markdown, leaderboard_markdown
from mlbench.store import Store


def print_leaderboard(folder: Path) -> None:
    """Print the leaderboard and the cost of a store."""
    store = Store(folder)
    print(leaderboard_markdown(store, leaderboard_frame(store)))
    print(cost_markdown(store, cost_frame(store)))
