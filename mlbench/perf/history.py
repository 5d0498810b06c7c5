"""Medians by revision and device, appended and never a gate: to see, not to judge."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from mlbench_kernels.bench.environment import cpu_name

from mlbench.perf.sessions import Session
from mlbench.perf.sides import PerfError

#: As fixed as a file format can be: reports read every line that was ever written.
FORMAT = 1


def append(file: Path, revision: str, found: Sequence[Session]) -> None:
    """Add what several processes measured, their medians, as one line."""
    device = f"{cpu_name()}, {os.cpu_count()} cores"
    names = sorted({name for one in found for name in one.seconds})
    seconds = {name: median(one.seconds[name] for one in found if name in one.seconds) for name in names}
    line = {"format": FORMAT, "revision": revision, "device": device, "processes": len(found), "seconds": seconds}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """All lines, the oldest first.

    Raises:
        PerfError: If the file is missing or a line cannot be read.
    """
    lines = []
    try:
        for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            line = json.loads(text)
            if line["format"] != FORMAT:
                raise PerfError(f"{file}, line {number}: format {line['format']}, this mlbench reads {FORMAT}")
            lines.append(line)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PerfError(f"{file}: not a history of measurements ({type(error).__name__}: {error})") from None
    return lines


def as_markdown(lines: list[dict[str, Any]]) -> str:
    """A table for every device: operations by revision, in milliseconds."""
    parts = [
        "# Performance, revision by revision",
        "",
        "Processor milliseconds of one call: the least of a process, the median of several. A report, not a gate.",
    ]
    for device in dict.fromkeys(line["device"] for line in lines):
        own = [line for line in lines if line["device"] == device]
        names = sorted({name for line in own for name in line["seconds"]})
        parts += ["", f"## {device}", "", f"| operation | {' | '.join(line['revision'][:9] for line in own)} |"]
        parts += ["|-|" + "-|" * len(own)]
        parts += [
            f"| `{name}` | {' | '.join(_milliseconds(line['seconds'], name) for line in own)} |" for name in names
        ]
    return "\n".join(parts) + "\n"


def plot(lines: list[dict[str, Any]], file: Path) -> None:
    """Every operation relative to its first revision, a line for each, one panel a device; SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    devices = list(dict.fromkeys(line["device"] for line in lines))
    # Two equal pictures shall have equal bytes.
    with mpl.rc_context({"svg.hashsalt": "mlbench", "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 1 + 4 * len(devices)), layout="constrained")
        for axes, device in zip(figure.subplots(len(devices), squeeze=False)[:, 0], devices, strict=True):
            own = [line for line in lines if line["device"] == device]
            for name in sorted({name for line in own for name in line["seconds"]}):
                points = [(at, line["seconds"][name]) for at, line in enumerate(own) if name in line["seconds"]]
                axes.plot(
                    [at for at, _ in points], [value / points[0][1] for _, value in points], "o-", label=_short(name)
                )
            axes.set_xticks(range(len(own)), [line["revision"][:9] for line in own], rotation=45)
            axes.set_ylabel("time, first revision = 1")
            axes.set_ylim(bottom=0)
            axes.set_title(device)
            axes.legend(fontsize="x-small", ncols=2)
        figure.savefig(file, format="svg", metadata={"Date": None})


def _milliseconds(seconds: Mapping[str, float], name: str) -> str:
    return f"{seconds[name] * 1000:.3g}" if name in seconds else "—"


def _short(name: str) -> str:
    """``x[1]`` of ``bench_x.py::test_x[1]``."""
    return name.rpartition("::")[2].removeprefix("test_")
