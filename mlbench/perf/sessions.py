"""One process that runs benchmarks with pytest-benchmark, and what it reports."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbench.perf import child, counts
from mlbench.perf.sides import PerfError

#: Seconds of timing for one benchmark in one process.
SECONDS = 0.3
_MEASURED = re.compile(r"^def \w+\([^)]*\bbenchmark\b", re.MULTILINE)
_INI = "[pytest]\npython_files = bench_*.py\npython_functions = bench_* test_*\n"


@dataclass(frozen=True)
class Session:
    """What one process measured.

    Attributes:
        machine: What pytest-benchmark says of the machine.
        seconds: Least processor seconds of one call, by benchmark.
        counts: What one call does, by benchmark, where that was counted.
        failures: Why a benchmark gave nothing, by benchmark or file.
        gpu: Whether a GPU was used, where that was looked for: when counting.
    """

    machine: Mapping[str, Any]
    seconds: Mapping[str, float]
    counts: Mapping[str, Mapping[str, int]]
    failures: Mapping[str, str]
    gpu: bool = False


def run(benchmarks: Sequence[Path], sites: Sequence[Path] = (), *, only: str = "", count: bool = False) -> Session:
    """Run benchmark files in a fresh process.

    Processor time is read, with collections of garbage off and hashes of strings fixed; one thread. Of pytest's plugins
    pytest-benchmark alone is there; a ``conftest.py`` among the benchmarks can name others.

    Args:
        benchmarks: Files ``bench_*.py``, or folders of them. They are copied, so that nothing beside them is imported.
        sites: Folders to put first on the path.
        only: Names of benchmarks, as pytest's ``-k`` takes them.
        count: Also count what every benchmark does.

    Raises:
        PerfError: If the process could not run at all.
    """
    with tempfile.TemporaryDirectory(prefix="mlbench-perf-") as name:
        folder = Path(name)
        files = [file for path in benchmarks for file in _copied(path, folder / "benchmarks")]
        if not files:
            return Session({}, {}, {}, {})
        (folder / "pytest.ini").write_text(_INI, encoding="utf-8")
        (folder / "plugin").mkdir()
        for module in (child, counts):
            shutil.copy(str(module.__file__), folder / "plugin")
        return _session(folder, files, sites, only, count)


def _session(folder: Path, files: Sequence[Path], sites: Sequence[Path], only: str, count: bool) -> Session:
    seconds = 0.0 if count else SECONDS
    command = [sys.executable, "-m", "pytest", "-c", str(folder / "pytest.ini"), "--rootdir", str(folder), "-q"]
    # Other plugins take time, and those of installed packages may be missing in the version that comes first.
    plugins = ["no:cacheprovider", "pytest_benchmark.plugin", *(["child"] if count else [])]
    command += [*(word for name in plugins for word in ("-p", name)), "--import-mode=importlib"]
    command += ["--benchmark-only", "--benchmark-disable-gc", "--benchmark-timer=time.process_time"]
    command += [f"--benchmark-max-time={seconds}", f"--benchmark-json={folder / 'found.json'}"]
    command += [f"--junit-xml={folder / 'junit.xml'}", *(["-k", only] if only else []), *map(str, files)]
    path = [*map(str, sites), str(folder / "plugin"), os.environ.get("PYTHONPATH", "")]
    # Of a pytest around this one, and of its workers, nothing is inherited.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONHASHSEED": "0"}
    environment |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    found = folder / "found.json"
    if not found.is_file() or not found.stat().st_size:
        if done.returncode == 5:  # pytest: nothing was collected
            return Session({}, {}, {}, {})
        if failures := _failures(folder / "junit.xml"):
            return Session({}, {}, {}, failures)
        raise PerfError(f"the benchmarks could not be run:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
    return read(found, _failures(folder / "junit.xml"))


def read(file: Path, failures: Mapping[str, str] | None = None) -> Session:
    """A file of ``pytest --benchmark-json``.

    Raises:
        PerfError: If it is none.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        benchmarks = {_name(one["fullname"]): one for one in content["benchmarks"]}
        seconds = {name: float(one["stats"]["min"]) for name, one in benchmarks.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PerfError(f"{file}: not a file of pytest-benchmark ({type(error).__name__}: {error})") from None
    extra = {name: one.get("extra_info", {}) for name, one in benchmarks.items()}
    counted = {name: one[child.COUNTS] for name, one in extra.items() if child.COUNTS in one}
    gpu = any(one.get(child.GPU, False) for one in extra.values())
    return Session(content.get("machine_info", {}), seconds, counted, failures or {}, gpu)


def equal(some: Sequence[Path], others: Sequence[Path]) -> bool:
    """Whether two lists of files or folders hold the same Python files."""
    return some == others or _sources(some) == _sources(others)


def _sources(paths: Sequence[Path]) -> dict[str, bytes]:
    files = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return {file.name: file.read_bytes() for file in files}


def _copied(path: Path, into: Path) -> list[Path]:
    """The files to run; of a folder those with a test that takes the fixture ``benchmark``."""
    target = into / path.name
    if path.is_dir():
        shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
        return [file for file in sorted(target.rglob("bench_*.py")) if _MEASURED.search(file.read_text("utf-8"))]
    if not path.is_file():
        raise PerfError(f"{path}: no such file or folder of benchmarks")
    into.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, target))]


def _name(full: str) -> str:
    """``bench_x.py::test_y[z]``, wherever the file was.

    >>> _name("benchmarks/perf/bench_x.py::test_y[1/2]")
    'bench_x.py::test_y[1/2]'
    """
    file, _, test = full.partition("::")
    return f"{Path(file).name}::{test}"


def _failures(report: Path) -> dict[str, str]:
    """What failed, by name, from pytest's own report."""
    import xml.etree.ElementTree as ElementTree

    if not report.is_file():
        return {}
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        trouble = case.find("failure") if case.find("failure") is not None else case.find("error")
        if trouble is not None:
            file = case.get("classname", "").rpartition(".")[2]
            name = f"{file}.py::{case.get('name')}" if file else f"{case.get('name', '').rpartition('.')[2]}.py"
            found[name] = (trouble.get("message") or "failed").strip().partition("\n")[0]
    return found
