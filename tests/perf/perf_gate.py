"""How often the performance gate cries wolf, and what it catches: revisions beside themselves and beside worse ones.

Run by hand; says how it is going, keeps every comparison in a file, goes on where it was stopped, prints the table:

    python tests/perf/perf_gate.py FILE [COMPARISONS]

Every core is kept busy by a process that multiplies matrices, and two comparisons run at once. A timed comparison is
`mlbench.perf.compare.compare` itself, but for the process of a round: instead of starting Python and pytest it is
forked from one that has imported NumPy, takes memory elsewhere each time, and times its operations for a fifteenth of
the usual time. That is less exact than the real one, but lets hundreds of comparisons be made within an hour.
"""

import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from unittest import mock

from mlbench.perf import sessions
from mlbench.perf.compare import compare
from mlbench.perf.sides import Side

#: Slowdowns that are planted by more rows of the same work, and every how many comparisons one is made.
TIMED = {"itself": (1.0, 1), "20% slower": (1.2, 1), "10% slower": (1.1, 4)}
OPERATIONS = {
    "product": "lambda x=matrix(320): x @ wide",
    "sort": "lambda x=matrix(400): numpy.sort(x, axis=1)",
    "partition": "lambda x=matrix(800): numpy.partition(x, 5, axis=1)",
    "exponential": "lambda x=matrix(800): numpy.exp(x)",
    "normalise": "lambda x=matrix(1600): x / numpy.linalg.norm(x, axis=1, keepdims=True)",
    "argmax": "lambda x=matrix(3200): x.argmax(axis=1)",
    "gather": "lambda x=matrix(1600), i=order(1600): x[i]",
    "cumulative": "lambda x=matrix(1600): x.cumsum(axis=1)",
    "unique": "lambda x=order(4800) // 4: numpy.unique(x, return_counts=True)",
    "interpreter": "lambda n=rows(20000): sum(i * i for i in range(n))",
}
_SERVER = """
import gc, os, sys, time, numpy
def matrix(count):
    return generator.standard_normal((rows(count), 128), dtype=numpy.float32)
def order(count):
    return generator.permutation(rows(count))
def least(call, seconds):
    until, found = time.process_time() + seconds, 1e9
    while time.process_time() < until:
        start = time.process_time(); call()
        found = min(found, time.process_time() - start)
    return found
for line in sys.stdin:
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    elsewhere = numpy.empty(int.from_bytes(os.urandom(3), "little"), dtype=numpy.uint8)
    generator = numpy.random.default_rng(0)
    wide = generator.standard_normal((128, 400), dtype=numpy.float32)
    slower, seconds, calls = line.split(" ", 2)
    rows = lambda count: round(count * float(slower))
    gc.disable()
    print(*[least(call, float(seconds)) for call in eval(calls)], flush=True)
    os._exit(0)
"""


class Server(threading.local):
    """Measures operations in forked processes, one after the other; every thread has its own."""

    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen([sys.executable, "-c", _SERVER], env=environment, **pipes)

    def measure(self, slower, names):
        calls = ", ".join(OPERATIONS[name] for name in names)
        self.process.stdin.write(f"{slower} {sessions.SECONDS / 15} [{calls}]\n")
        return dict(zip(names, map(float, self.process.stdout.readline().split()), strict=True))


server = Server()


def quick(benchmarks, sites=(), *, only="", count=False):
    """What `sessions.run` does, of `OPERATIONS`; a side's folder is named by how much slower it is."""
    names = only.split(" or ") if only else [file.name for file in benchmarks]
    if count:
        return sessions.Session({}, {}, {name: {} for name in names}, {})
    return sessions.Session({}, server.measure(sites[0].name, names), {}, {})


def compared(slower, number):
    """Unchanged: ten operations, as in a pull request. Slower: the one operation that is."""
    operations = list(OPERATIONS) if slower == 1 else [list(OPERATIONS)[number % len(OPERATIONS)]]
    # Two names for one revision would be one folder; a trailing zero makes two of it.
    sides = [Side(name, name, Path(name)) for name in ("1.0", f"{slower}0")]
    found = compare(*sides, [Path(name) for name in operations])
    return {one.name: one.state for one in found.verdicts}


def counted_comparisons(comparisons):
    """Counts of a loss with and without what is planted, in random order."""
    import torch
    from mlbench_kernels.losses import TripletMarginLoss

    from mlbench.perf import counted
    from mlbench.perf.verdict import counted as judged

    loss, labels = TripletMarginLoss(kind="semi-hard"), torch.arange(512) // 4
    embeddings = torch.nn.functional.normalize(torch.randn(512, 128)).requires_grad_()

    def call(also=lambda: None):
        embeddings.grad = None
        kept = also()
        loss(embeddings, labels).backward()
        del kept

    base = vars(counted(call))
    extra = base["bytes"] // 10
    planted = {
        "itself": lambda: None,
        "10% more peak memory": lambda: torch.empty(extra, dtype=torch.uint8),
        "one more matrix product": lambda: embeddings @ embeddings.T,
    }
    tasks = [*product(planted, range(comparisons))]
    random.Random(0).shuffle(tasks)
    for name, number in tasks:
        verdict = judged(name, base, vars(counted(lambda name=name: call(planted[name]))))
        yield {"gate": "counted", "head": name, "number": number, "states": {"loss": verdict.state}}


def busy():
    """Keep a core busy until the experiment is over or was killed."""
    import torch

    parent = os.getppid()

    torch.set_num_threads(1)
    square = torch.randn(700, 700)
    while os.getppid() == parent:
        square @ square


@contextmanager
def loaded():
    """As many busy processes as there are cores."""
    load = [multiprocessing.Process(target=busy, daemon=True) for _ in range(os.cpu_count() or 1)]
    for process in load:
        process.start()
    try:
        yield
    finally:
        for process in load:
            process.kill()


def table(lines):
    found = {}
    for line in lines:
        states = line["states"].values()
        fails = [state for state in ("slower", "hungrier", "undecided") if state in states]
        found.setdefault((line["gate"], line["head"]), Counter())[fails[0] if fails else "passed"] += 1
    text = "| gate | head is | comparisons | passed | slower | hungrier | undecided |\n|-|-|-|-|-|-|-|"
    for (gate, head), states in found.items():
        cells = [gate, head, states.total(), *(states[name] for name in ("passed", "slower", "hungrier", "undecided"))]
        text += f"\n| {' | '.join(map(str, cells))} |"
    return text


def main(file, comparisons):
    lines = [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []
    done = {(line["gate"], line["head"], line["number"]) for line in lines}

    def keep(line):
        lines.append(line)
        with file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def one(task):
        number, (head, (slower, every)) = task
        if number % every or ("timed", head, number) in done:
            return
        keep({"gate": "timed", "head": head, "number": number, "states": compared(slower, number)})
        print(f"{time.strftime('%H:%M:%S')} {head} {number + 1} of {comparisons}", flush=True)

    with loaded():
        with mock.patch.object(sessions, "run", quick), ThreadPoolExecutor(2) as pool:
            list(pool.map(one, product(range(comparisons), TIMED.items())))
        if not any(gate == "counted" for gate, *_ in done):
            for line in list(counted_comparisons(comparisons)):
                keep(line)
    print(table(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100)
