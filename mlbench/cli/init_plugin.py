"""``mlbench init-plugin``."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(help="Of the package: lower-case letters, digits and hyphens.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="The folder to write the package's in.")] = Path(),
) -> None:
    """Write a plugin package that conforms and runs, to be changed: a loss, a miner, a dataset, their tests."""
    from mlbench.testing.scaffold import init_plugin

    for file in init_plugin(name, into):
        print(file)
    folder = into / name
    print(f"\nNext:\n  pip install --editable '{folder}[test]'\n  pytest {folder}\n  mlbench check {name}")
    print(f"  mlbench run {folder / 'benchmark.toml'}")
