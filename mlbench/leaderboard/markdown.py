"""Tables in Markdown."""

from typing import Any

from tabulate import tabulate


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table, every value as it is written."""
    text: str = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True, stralign="left")
    return text
