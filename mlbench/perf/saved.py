"""Measurements that pytest-benchmark saved, compared without running anything."""

from collections.abc import Sequence
from pathlib import Path

from mlbench.perf import sessions
from mlbench.perf.comparison import Comparison, missing, times
from mlbench.perf.sessions import Session
from mlbench.perf.sides import PerfError
from mlbench.perf.verdict import timed


def is_saved(name: str) -> bool:
    """Whether this is a JSON file, or a folder of them and not of a package."""
    path = Path(name)
    return path.is_file() or (path.is_dir() and not (path / "pyproject.toml").exists() and any(path.glob("*.json")))


def compare_saved(base: str, head: str) -> Comparison:
    """Compare files of ``pytest --benchmark-json``, made in turns.

    A file of each side is a round, so two files decide nothing.

    Args:
        base: A file, or a folder of files.
        head: The same, as many.

    Raises:
        PerfError: If a side is something else, the numbers of files differ, or the files are from different machines:
            no ratio of their times means anything.
    """
    was, now = _read(base), _read(head)
    if len(was) != len(now):
        raise PerfError(f"{base} has {len(was)} files and {head} {len(now)}: a round is a file of each, so remove some")
    machines = {_machine(session) for session in (*was, *now)}
    if len(machines) > 1:
        raise PerfError(
            "the files are from different machines or versions of Python, so their times say nothing: "
            f"{' and '.join(' '.join(machine) for machine in sorted(machines))}"
        )
    names = [{name for session in side for name in session.seconds} for side in (was, now)]
    verdicts = [timed(name, *found) for name, found in times(zip(was, now, strict=True)).items()]
    return Comparison.of(base, head, [*verdicts, *missing(*names)], now[0].machine)


def _read(name: str) -> Sequence[Session]:
    if not is_saved(name):
        raise PerfError(f"{name}: neither a file of pytest-benchmark nor a folder of them, as the other side is")
    path = Path(name)
    return [sessions.read(file) for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]


def _machine(session: Session) -> tuple[str, ...]:
    about = session.machine
    cpu = about.get("cpu", {}).get("brand_raw", "?")
    return str(about.get("node", "?")), str(cpu), str(about.get("python_version", "?"))
