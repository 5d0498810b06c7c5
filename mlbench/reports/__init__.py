"""Pictures of a leaderboard."""

from mlbench.reports.intervals import write_intervals as write_intervals
