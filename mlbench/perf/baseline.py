"""The counted gate: what operations do, compared exactly with a committed file that changes only on purpose."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mlbench.perf import sessions
from mlbench.perf.sides import PerfError
from mlbench.perf.verdict import counted

#: What `mlbench --help` imports besides the standard library enters the baseline under this name.
IMPORTS = "imported by mlbench --help"
_IMPORTED = """
import sys
from mlbench.cli import main
sys.argv = ["mlbench", "--help"]
try:
    main()
except SystemExit:
    pass
own = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print("\\n".join(sorted(name for name in own if not name.startswith("_"))), file=sys.stderr)
"""

Counted = Mapping[str, Mapping[str, int]]


def measure(benchmarks: Sequence[Path]) -> dict[str, Any]:
    """Count every benchmark, and see what ``mlbench --help`` imports.

    Returns:
        ``operations`` by name, ``imports`` and the version of ``torch``, as the baseline holds them.

    Raises:
        PerfError: If a benchmark fails.
    """
    found = sessions.run(benchmarks, count=True)
    if found.failures:
        name, cause = next(iter(found.failures.items()))
        raise PerfError(f"{name} failed, so nothing was compared: {cause}")
    help_ = subprocess.run([sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True)
    operations = {name: dict(found.counts[name]) for name in sorted(found.counts)}
    return {"torch": torch.__version__, "imports": help_.stderr.split(), "operations": operations}


def differences(baseline: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What became more than in the baseline, in words; empty if nothing did.

    Raises:
        PerfError: If the baseline is of another torch, whose operators differ.
    """
    if baseline["torch"] != found["torch"]:
        raise PerfError(
            f"the baseline was counted with torch {baseline['torch']}, this is {found['torch']}, whose operators may "
            "differ; install that version, or `mlbench perf bless --reason ...`"
        )
    was, now = baseline["operations"], found["operations"]
    worse = [
        f"{name}: {one.cause}" for name in was.keys() & now.keys() if (one := counted(name, was[name], now[name])).cause
    ]
    worse += [f"{name}: is in the baseline, but not measured any more" for name in was.keys() - now.keys()]
    worse += [f"{name}: is not in the baseline" for name in now.keys() - was.keys()]
    if more := sorted(set(found["imports"]) - set(baseline["imports"])):
        worse.append(f"{IMPORTS}: {', '.join(more)}")
    return sorted(worse)


def read(file: Path) -> dict[str, Any]:
    """The committed baseline.

    Raises:
        PerfError: If there is none.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PerfError(f"{file}: no baseline ({error}); `mlbench perf bless --reason ...` writes one") from None
    return content


def bless(file: Path, found: Mapping[str, Any], reason: str) -> list[str]:
    """Make what was found the baseline, and keep the reason with it.

    Returns:
        The names that changed.

    Raises:
        PerfError: If the reason says nothing.
    """
    if len(reason.split()) < 2:
        raise PerfError(f"--reason {reason!r}: say in a few words why the baseline may change; it is committed with it")
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"operations": {}, "reasons": []}
    was, now = before["operations"], found["operations"]
    changed = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    content = {**found, "reasons": [*before["reasons"], {"reason": reason, "changed": changed}]}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return changed
