"""Markdown on a terminal: tables and lines no wider than it is."""

import re
import textwrap

from tabulate import tabulate

#: Characters of a heading after which it goes on in the next line.
_HEADING = 14
_RULE = re.compile(r"^\|[-|: ]+\|$")


def fitted(markdown: str, width: int) -> str:
    """Text with its tables made to fit; what has to be left out of one is named below it.

    Of a table that is too wide, columns are left out from the right, all but the last.

    Args:
        markdown: Lines of text, and tables with ``|``.
        width: Of the terminal, in characters.

    >>> print(fitted("A line of eighteen", 12))
    A line of
    eighteen
    """
    parts: list[str] = []
    rows: list[list[str]] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            rows += [] if _RULE.match(line) else [[cell.strip() for cell in line.strip("|").split("|")]]
            continue
        parts += [_table(rows, width)] if rows else []
        rows = []
        parts.append(textwrap.fill(line, width, subsequent_indent="  " if line.startswith("- ") else ""))
    return "\n".join(parts[:-1])


def _table(rows: list[list[str]], width: int) -> str:
    left_out: list[str] = []
    while max(map(len, (text := _drawn(rows)).splitlines())) > width and len(rows[0]) > 2:
        left_out.insert(0, rows[0][-2])
        rows = [[*row[:-2], row[-1]] for row in rows]
    return text + ("\n" + textwrap.fill(f"not shown: {', '.join(left_out)}", width) if left_out else "")


def _drawn(rows: list[list[str]]) -> str:
    plain = {"tablefmt": "simple", "disable_numparse": True, "stralign": "left"}
    text: str = tabulate(rows[1:], headers=rows[0], maxheadercolwidths=_HEADING, **plain)
    return text
