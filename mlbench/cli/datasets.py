"""``mlbench datasets``."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlbench.cli.options import AsJson

if TYPE_CHECKING:
    from mlbench.api.dataset import Dataset
    from mlbench.data.prepare.preparing import Watch

app = typer.Typer(help="Prepare, verify and describe datasets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A dataset (`mlbench datasets ls`).")]
Where = Annotated[str | None, typer.Option("--path", help="Its folder, if it does not lie where it was prepared.")]


@app.command("ls")
def list_all(as_json: AsJson = False) -> None:
    """List all datasets, and which are prepared."""
    from mlbench.registry import entries

    rows = [_row(entry) for entry in entries("datasets")]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    width = max(len(row["id"]) for row in rows)
    for row in rows:
        print(f"{row['id']:{width}}  {row['state']:13}  {row['summary']}".rstrip())


@app.command()
def prepare(
    name: Name,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="PATH", help="What you have: an archive, a folder of archives, or unpacked."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also if it is prepared.")] = False,
) -> None:
    """Fetch or take what you have, check, unpack; given again after an interruption, go on."""
    from mlbench.data.prepare.location import data_root, read_manifest
    from mlbench.data.prepare.preparing import prepare as prepare_dataset

    bare, dataset = _find(name)
    before = read_manifest(data_root() / bare)
    with _progress() as watch:
        folder = prepare_dataset(bare, dataset, source, again=again, watch=watch)
    manifest: Mapping[str, Any] = read_manifest(data_root() / bare) or {}
    if before == manifest:
        print(f"{bare} was prepared already, in {folder}; --again does it anew")
        return
    unknown = {one.name for one in dataset.archives if not one.checksum}
    for archive, checksum in manifest.get("archives", {}).items():
        if archive in unknown:
            print(f"{archive}: its owner gives no checksum; this file's is {checksum}")
    print(f"{bare}: {manifest['classes']:,} classes, {manifest['items']:,} items, in {folder}")


@app.command()
def verify(
    name: Name,
    path: Where = None,
    deep: Annotated[bool, typer.Option("--deep", help="Decode every item too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count classes and items, hash the content, and compare with what is known."""
    from mlbench.data.prepare.verifying import verify as verify_dataset

    bare, dataset = _find(name)
    with _progress() as watch:
        found = verify_dataset(
            bare, dataset, path, deep=deep, progress=lambda done, total: watch(f"decoding {bare}", done, total)
        )
    if as_json:
        print(json.dumps(found, indent=1))
        return
    counted = "as its owner's" if found["counts_known"] else "nothing to compare with"
    hashed = "as when it was prepared" if found["content_known"] else "nothing to compare with"
    print(f"{bare}: {found['classes']:,} classes, {found['items']:,} items: {counted}")
    print(f"content {found['content'][:16]}: {hashed}")
    if deep:
        print("every item can be decoded")


@app.command()
def show(name: Name, path: Where = None) -> None:
    """Show licence, citation, counts, splits, where it lies and how to get it."""
    bare, dataset = _find(name)
    print("\n".join(_described(bare, dataset, path)))


def _find(name: str) -> "tuple[str, type[Dataset]]":
    from mlbench.registry import find, load

    entry = find("datasets", name)
    return entry.name, load(entry)


def _row(entry: Any) -> dict[str, str]:
    from mlbench.api.errors import PluginError
    from mlbench.registry import info_of, load

    try:
        dataset = load(entry)
    except PluginError as error:
        return {"id": entry.id, "state": "broken", "summary": str(error)}
    return {"id": entry.id, "state": _state(entry.name, dataset), "summary": info_of(dataset).summary}


def _state(bare: str, dataset: "type[Dataset]") -> str:
    from mlbench.data.prepare.location import prepared
    from mlbench.registry import parameters

    path = parameters(dataset).get("path")
    if path is None:
        return "needs nothing"
    if path.required:
        return "needs a path"
    return "prepared" if prepared(bare) else "not prepared"


def _described(bare: str, dataset: "type[Dataset]", path: str | None) -> Iterator[str]:
    from mlbench.api.errors import DataError
    from mlbench.data.prepare.verifying import complete, place
    from mlbench.registry import info_of

    info = info_of(dataset)
    yield f"{bare}: {info.summary}"
    yield f"licence   {dataset.licence or 'not stated'}"
    yield f"citation  {info.citation or 'not stated'}"
    if dataset.expected:
        yield f"complete  {dataset.expected.classes:,} classes, {dataset.expected.items:,} items"
    try:
        folder = place(bare, dataset, path)
        found = complete(bare, dataset, folder)
    except DataError as error:
        yield f"state     {error}"
    else:
        yield f"here      {folder or 'made on the spot'}"
        yield from _counted(found)
    for one in dataset.archives:
        where = one.url or ("on request" if one.on_request else "may be missing")
        yield f"get it    {one.name}  {where}  {one.checksum or 'no checksum known'}"


def _counted(dataset: "Dataset") -> Iterator[str]:
    from collections import Counter

    items = dataset.items
    counts = sorted(items.counts.tolist())
    spread = f"{counts[0]} to {counts[-1]} a class, median {counts[len(counts) // 2]}"
    yield f"holds     {len(items.class_names):,} classes, {len(items):,} items; {spread}"
    for what, values in (("splits", items.splits), ("roles", items.roles), ("views", items.views)):
        if values:
            each = ", ".join(f"{value or 'none'} {count:,}" for value, count in Counter(values).most_common(12))
            yield f"{what:9} {each}"
    if items.superclass_names:
        yield f"grouped   into {len(items.superclass_names):,} superclasses"


@contextmanager
def _progress() -> "Iterator[Watch]":
    """A bar with the time left on a terminal, else a line now and then; both on stderr."""
    if not sys.stderr.isatty():
        from mlbench.cli.lines import Lines

        yield Lines(sys.stderr)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def watch(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield watch
