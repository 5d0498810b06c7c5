"""How often the timed gate cries wolf, and what it catches: an operation beside itself and beside slower ones.

Run by hand; says how it is going and writes a table:

    python tests/perf/perf_gate.py [COMPARISONS]

All cores are kept busy by processes that multiply matrices. A comparison has the rounds and verdicts of
`mlbench perf compare`, each side in a fresh process; but that process imports torch alone, measures one operation and
lives for all rounds of its comparison: starting pytest for every round would take days.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter

from mlbench.perf.compare import FIRST, SECOND
from mlbench.perf.verdict import timed

#: Slowdowns that are planted: more rows of the same product.
PLANTED = {"itself": 1.0, "10% slower": 1.1, "20% slower": 1.2, "30% slower": 1.3}
_CHILD = """
import sys, time, torch
torch.set_num_threads(1)
slower = float(sys.argv[1])
left, right = torch.randn(round(1000 * slower), 128), torch.randn(128, 1000)
def reading():
    start = time.process_time(); left @ right
    return time.process_time() - start
for _ in sys.stdin:
    until = time.process_time() + 0.3
    least = reading()
    while time.process_time() < until:
        least = min(least, reading())
    print(least, flush=True)
"""


def busy():
    """Keep a core busy."""
    import torch

    torch.set_num_threads(1)
    square = torch.randn(700, 700)
    while True:
        square @ square


class Child:
    """A process that measures one operation when asked."""

    def __init__(self, slower):
        command = [sys.executable, "-c", _CHILD, str(slower)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def ratios(base, head, rounds):
    found = []
    for number in range(rounds):
        order = (base, head) if number % 2 == 0 else (head, base)
        seconds = {id(child): child.measure() for child in order}
        found.append(seconds[id(head)] / seconds[id(base)])
    return found


def verdict(base, head):
    """As `mlbench.perf.compare.compare`: what seems slower or is undecided is measured again, more often."""
    first = timed("operation", ratios(base, head, FIRST))
    return (timed("operation", ratios(base, head, SECOND)) if first.state in ("slower", "undecided") else first).state


def main(comparisons):
    load = [multiprocessing.Process(target=busy, daemon=True) for _ in range(os.cpu_count() or 1)]
    for process in load:
        process.start()
    found = {}
    started = time.monotonic()
    for name, slower in PLANTED.items():
        states = Counter()
        for number in range(comparisons):
            base, head = Child(1.0), Child(slower)
            states[verdict(base, head)] += 1
            for child in (base, head):
                child.process.kill()
            print(f"{name}: {number + 1}/{comparisons} {dict(states)}, {time.monotonic() - started:.0f} s", flush=True)
        found[name] = states
    print("| head is | same | slower | faster | undecided |\n|-|-|-|-|-|")
    for name, states in found.items():
        print(f"| {name} | {' | '.join(str(states[state]) for state in ('same', 'slower', 'faster', 'undecided'))} |")
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
