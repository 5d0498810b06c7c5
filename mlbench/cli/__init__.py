"""The command line: one verb per file; nothing heavy is imported before a verb runs."""

from mlbench.cli.app import main as main
