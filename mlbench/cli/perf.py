"""``mlbench perf``: measure operations, compare two versions, keep a baseline and a history."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from mlbench.perf.sides import Side

app = typer.Typer(help="Is it slower or hungrier than before? Counts, and times in turns.", no_args_is_help=True)

#: Something became slower or hungrier; something could not be compared.
REFUSED, UNDECIDED = 2, 3

Benchmarks: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--benchmarks", help="bench_*.py files or folders; default: tests/perf. Repeatable."),
]
Only: TypeAlias = Annotated[str, typer.Option("--only", "-k", help="Benchmarks by name, as pytest's -k takes them.")]
Baseline: TypeAlias = Annotated[Path, typer.Option("--baseline", help="The committed counts.")]
_BASELINE, _HISTORY = Path("tests/perf/counted.json"), Path("leaderboards/performance/history.jsonl")
_DEFAULT = Path("tests/perf")


@app.command()
def run(
    side: Annotated[str, typer.Argument(help="A git revision, a folder or a requirement. Default: as installed.")] = "",
    benchmarks: Benchmarks = None,
    only: Only = "",
    append: Annotated[bool, typer.Option("--append", help="Add medians of five processes to the history.")] = False,
    counted: Annotated[bool, typer.Option("--counted", help="Count, compare with the baseline; exact.")] = False,
    baseline: Baseline = _BASELINE,
    history: Annotated[Path, typer.Option("--history", help="The file to append to.")] = _HISTORY,
) -> None:
    """Time the benchmarks once; or count what they do here and compare with the committed baseline."""
    import tempfile

    from mlbench.perf import baseline as gate
    from mlbench.perf import history as past
    from mlbench.perf import sessions
    from mlbench.perf.sides import revision

    if counted:
        worse = gate.differences(gate.read(baseline), gate.measure(benchmarks or [_DEFAULT]))
        for line in worse:
            print(line)
        print(f"{len(worse)} became more than in {baseline}" if worse else f"nothing became more than in {baseline}")
        raise typer.Exit(REFUSED if worse else 0)
    with tempfile.TemporaryDirectory(prefix="mlbench-perf-") as folder:
        installed = _installed(side, Path(folder)) if side else None
        sites = [installed.site] if installed else []
        found = [sessions.run(benchmarks or [_DEFAULT], sites, only=only) for _ in range(5 if append else 1)]
    for name, seconds in sorted(found[-1].seconds.items()):
        print(f"{seconds * 1000:10.3f} ms  {name}")
    for name, cause in found[-1].failures.items():
        print(f"failed: {name}: {cause}")
    if append:
        past.append(history, installed.revision if installed else revision(), found)
    raise typer.Exit(UNDECIDED if found[-1].failures or not found[-1].seconds else 0)


@app.command()
def compare(
    base: Annotated[str, typer.Argument(help="A git revision, a folder, a requirement such as acme==1.2, or JSON.")],
    head: Annotated[str, typer.Argument(help="The same of the other side. Default: this folder.")] = ".",
    benchmarks: Benchmarks = None,
    only: Only = "",
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write the comment for a pull request.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON.")] = None,
) -> None:
    """Install both sides, count them, time them in turns. Exit code 2: slower or hungrier; 3: something undecided.

    Files that pytest-benchmark wrote with --benchmark-json, or two folders of them, are compared as they are.
    """
    import tempfile

    from mlbench.perf.compare import compare as compared
    from mlbench.perf.render import as_json, as_markdown
    from mlbench.perf.saved import compare_saved, is_saved

    if is_saved(base) or is_saved(head):
        found = compare_saved(base, head)
    else:
        with tempfile.TemporaryDirectory(prefix="mlbench-perf-") as folder:
            sides = [_installed(name, Path(folder, part)) for part, name in (("base", base), ("head", head))]
            found = compared(sides[0], sides[1], benchmarks or [_DEFAULT], _tell, only=only)
    text = as_markdown(found)
    print(text, end="")
    for file, content in ((markdown, text), (json_, as_json(found))):
        if file is not None:
            file.write_text(content, encoding="utf-8")
    raise typer.Exit(REFUSED if found.refused else UNDECIDED if found.undecided else 0)


@app.command()
def report(
    history: Annotated[Path, typer.Option("--history", help="The file of `mlbench perf run --append`.")] = _HISTORY,
) -> None:
    """Write the history as a table and a picture beside it."""
    from mlbench.perf import history as past

    lines = past.read(history)
    text = past.as_markdown(lines)
    history.with_name("README.md").write_text(text, encoding="utf-8")
    past.plot(lines, history.with_suffix(".svg"))
    print(text, end="")


@app.command()
def bless(
    reason: Annotated[str, typer.Option("--reason", help="Why the counts may change; committed with them.")],
    benchmarks: Benchmarks = None,
    baseline: Baseline = _BASELINE,
) -> None:
    """Count the benchmarks and make that the committed baseline."""
    from mlbench.perf import baseline as gate

    changed = gate.bless(baseline, gate.measure(benchmarks or [_DEFAULT]), reason)
    for name in changed:
        print(f"counted anew: {name}")
    print(f"{baseline} has these counts and the reason; commit it" if changed else "nothing changed")


def _installed(name: str, into: Path) -> "Side":
    from mlbench.perf.sides import install

    _tell(f"installing {name}")
    return install(name, into, Path.cwd())


def _tell(text: str) -> None:
    print(f"mlbench: {text}", file=sys.stderr, flush=True)
