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


def _use_files(files: list[str] | None) -> list[str] | None:
    from mlbench.registry import use_file

    for file in files or []:
        use_file(file)
    return files


#: Takes effect by being given: a verb with this parameter has nothing else to do.
PluginFiles: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        callback=_use_files,
        help="A .py file whose classes can be named as file:Class. Repeatable. Marked as un-packaged in the results.",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
