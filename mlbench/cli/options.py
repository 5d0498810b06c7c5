"""Options that several verbs share."""

from typing import Annotated, TypeAlias

import typer

BenchmarkName: TypeAlias = Annotated[
    str, typer.Argument(help="A shipped benchmark (`mlbench ls benchmarks`) or a TOML file.")
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value: training.batch_size=64. Repeatable."),
]
StoreFolder: TypeAlias = Annotated[str | None, typer.Option("--store", help="Folder of the records.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
