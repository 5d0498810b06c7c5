"""Tables of the literature: kept with their sources, shown as published, never ranked with results of our own.

``python -m mlbench.leaderboard.published leaderboards/published`` writes ``NAME.md`` beside every ``NAME.toml``.
"""

import sys
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from tabulate import tabulate

from mlbench.api.errors import StoreError
from mlbench.store.atomic import write_text

_NOTE = "Published by others, under recipes of their own: not run here, not ranked, comparable with no table of ours."


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Table):
    """Where figures were read."""

    what: str
    url: str


class Row(_Table):
    """One method's figures, in percent as published, in the order of the columns."""

    method: str
    values: Annotated[tuple[float, ...], Field(strict=False)]
    note: str = ""


class Part(_Table):
    """One table."""

    heading: str
    columns: Annotated[tuple[str, ...], Field(strict=False)]
    rows: Annotated[tuple[Row, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _as_many_values_as_columns(self) -> Self:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"{row.method}: {len(row.values)} values for {len(self.columns)} columns")
        return self


class Published(_Table):
    """Tables of one source on one dataset.

    Attributes:
        title: What was compared.
        dataset: On what, with its split.
        setup: What a reader must know before comparing: trunk, crop, optimiser, on what hyperparameters were chosen.
        sources: Where the figures were read.
        tables: The figures.
    """

    title: str
    dataset: str
    setup: dict[str, str]
    sources: Annotated[tuple[Source, ...], Field(strict=False, min_length=1)]
    tables: Annotated[tuple[Part, ...], Field(strict=False, min_length=1)]

    def markdown(self) -> str:
        """The tables as Markdown."""
        facts = {"Dataset": self.dataset, **self.setup}
        about = [f"- **{name}**: {text}" for name, text in facts.items()]
        about += [f"- **Source**: {source.what}, {source.url}" for source in self.sources]
        parts = [f"# {self.title}", _NOTE, "\n".join(about)]
        for table in self.tables:
            parts += [f"## {table.heading}", _markdown(table)]
        return "\n\n".join(parts) + "\n"


def load_published(path: Path) -> Published:
    """Read and check a file of published tables.

    Raises:
        StoreError: If it cannot be read or something is missing, unknown or of another type.
    """
    try:
        return Published.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        item = error.errors()[0]
        raise StoreError(f"{path}: {'.'.join(map(str, item['loc']))}: {item['msg']}") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a file of published tables: {error}") from None


def write_published(folder: Path) -> list[Path]:
    """Write the Markdown of every file of published tables in ``folder``; the files written."""
    written = []
    for path in sorted(folder.glob("*.toml")):
        write_text(path.with_suffix(".md"), load_published(path).markdown())
        written.append(path.with_suffix(".md"))
    return written


def _markdown(table: Part) -> str:
    noted = any(row.note for row in table.rows)
    rows = [[row.method, *map(str, row.values), *([row.note] if noted else [])] for row in table.rows]
    headings = ["Method", *table.columns, *(["Note"] if noted else [])]
    text: str = tabulate(rows, headings, tablefmt="github", disable_numparse=True, stralign="left")
    return text


if __name__ == "__main__":
    for written in write_published(Path(sys.argv[1])):
        print(written)
