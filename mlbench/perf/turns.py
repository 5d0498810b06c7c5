"""Contestants take turns, so that a change of the machine's speed hits all of them.

Each turn is a fresh process, so that peak memory belongs to one contestant.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from mlbench.training.meter import Meter


@dataclass(frozen=True)
class Measurement:
    """One call.

    Attributes:
        seconds: Wall seconds.
        bytes: Peak resident memory above what was resident before the call.
        value: What the call returned, so that contestants can be seen to agree.
        refusal: Why it could not be done, if so; the rest then means nothing.
    """

    seconds: float
    bytes: int
    value: float
    refusal: str = ""


def measured(call: Callable[[], float]) -> Measurement:
    """Measure a call in this process. Make its inputs, and call it once on small ones, before."""
    before = Meter().peak_memory
    meter = Meter()
    value = call()
    return Measurement(meter.seconds, meter.peak_memory - before, value)


def report(measurement: Measurement) -> None:
    """Print a measurement for `take_turns` to read: the last thing that a contestant's process does."""
    print(json.dumps(asdict(measurement)))


def take_turns(contestants: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Measurement]]:
    """Run every contestant once a round.

    Args:
        contestants: Name and arguments for this Python of each; its last line of output is from `report`.
        rounds: How many times each runs.

    Raises:
        subprocess.CalledProcessError: If a contestant fails.

    >>> code = "from mlbench.perf.turns import *; report(measured(lambda: 1.0))"
    >>> take_turns({"one": ["-c", code]}, rounds=1)["one"][0].value
    1.0
    """
    found: dict[str, list[Measurement]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, arguments in contestants.items():
            output = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
            found[name].append(Measurement(**json.loads(output.splitlines()[-1])))
    return found


def as_table(found: Mapping[str, Mapping[str, Sequence[Measurement]]]) -> str:
    """A Markdown table of problems and contestants: median seconds, highest peak memory, value.

    >>> print(as_table({"sort": {"one": [Measurement(2.0, 2**20, 0.5)], "other": [Measurement(0, 0, 0, "too big")]}}))
    | problem | contestant | median s | peak MiB above inputs | value |
    |---|---|---|---|---|
    | sort | one | 2.00 | 1 | 0.500000 |
    | sort | other | did not run: too big | | |
    """
    lines = ["| problem | contestant | median s | peak MiB above inputs | value |", "|---|---|---|---|---|"]
    for problem, contestants in found.items():
        for name, runs in contestants.items():
            if runs[0].refusal:
                lines.append(f"| {problem} | {name} | did not run: {runs[0].refusal} | | |")
                continue
            seconds, memory = median(run.seconds for run in runs), max(run.bytes for run in runs) / 2**20
            lines.append(f"| {problem} | {name} | {seconds:.2f} | {memory:.0f} | {runs[0].value:.6f} |")
    return "\n".join(lines)
