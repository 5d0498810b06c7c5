"""Tables of the literature: kept with their sources, shown as published, never ranked with results of our own."""

import tomllib
from decimal import Decimal
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlbench.api.errors import StoreError
from mlbench.leaderboard.markdown import table

_FOLDER = files("mlbench.leaderboard") / "literature"
_NOTE = "Published by others, under recipes of their own: not run here, not ranked, comparable with no table of ours."


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Table):
    """Where figures were read."""

    what: str
    url: str


class Row(_Table):
    """One method's figures, in percent and with the digits published, in the order of the columns."""

    method: str
    values: Annotated[tuple[Decimal | int, ...], Field(strict=False)]
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
        dataset_id: Below which leaderboards it is shown: the id of their dataset.
        dataset: On what, with its split.
        setup: What a reader must know before comparing: trunk, crop, optimiser, on what hyperparameters were chosen.
        sources: Where the figures were read.
        tables: The figures.
    """

    title: str
    dataset_id: str
    dataset: str
    setup: dict[str, str]
    sources: Annotated[tuple[Source, ...], Field(strict=False, min_length=1)]
    tables: Annotated[tuple[Part, ...], Field(strict=False, min_length=1)]

    def markdown(self) -> str:
        """A page of its own."""
        title, *parts = self.parts(level=1)
        return "\n\n".join([title, _NOTE, *parts]) + "\n"

    def parts(self, level: int) -> list[str]:
        """Title, facts and tables as Markdown; the title is a heading of that level, each table's is one below it."""
        facts = {"Dataset": self.dataset, **self.setup}
        about = [f"- **{name}**: {text}" for name, text in facts.items()]
        about += [f"- **Source**: {source.what}, {source.url}" for source in self.sources]
        parts = [f"{'#' * level} {self.title}", "\n".join(about)]
        for part in self.tables:
            parts += [f"{'#' * (level + 1)} {part.heading}", table(_rows(part))]
        return parts


def published_section(dataset_id: str) -> list[str]:
    """What a leaderboard on that dataset shows below its own results; nothing where nothing published is kept."""
    found = [published for published in shipped().values() if published.dataset_id == dataset_id]
    return ["## Published", _NOTE, *(part for published in found for part in published.parts(level=3))] if found else []


def shipped() -> dict[str, Published]:
    """Everything published that is kept, by name."""
    paths = sorted(_FOLDER.iterdir(), key=lambda path: path.name)
    return {path.name.removesuffix(".toml"): load_published(path) for path in paths if path.name.endswith(".toml")}


def load_published(path: Traversable) -> Published:
    """Read and check a file of published tables.

    Raises:
        StoreError: If it cannot be read or something is missing, unknown or of another type.
    """
    try:
        return Published.model_validate(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
    except ValidationError as error:
        item = error.errors()[0]
        raise StoreError(f"{path}: {'.'.join(map(str, item['loc']))}: {item['msg']}") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a file of published tables: {error}") from None


def _rows(part: Part) -> list[dict[str, str]]:
    noted = any(row.note for row in part.rows)
    return [
        {"Method": row.method}
        | dict(zip(part.columns, map(str, row.values), strict=True))
        | ({"Note": row.note} if noted else {})
        for row in part.rows
    ]
