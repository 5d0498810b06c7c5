"""The coordinator beside a simulated cluster: 256 workers, 10,000 jobs of two seconds, on simulated time.

Run by hand:

    pytest tests/perf/bench_coordinator.py -s

The coordinator, its store, its leases and `events.jsonl` are real; the workers only wait, on a clock that jumps to the
next job that ends. What they would do (commit a record, hold a lease) costs time that is not the coordinator's and is
not counted. Nothing asserts a time.
"""

import heapq
import os
import random
import resource
import time
from contextlib import closing, contextmanager

from mlbench.execution import coordinator, open_study, run_plan
from mlbench.execution.message import Message
from mlbench.execution.watch import Events, Watch
from mlbench.spec import digest, load_benchmark
from mlbench.store import Record, Store

WORKERS, SECONDS = 256, 2.0
METHODS = int(os.environ.get("MLBENCH_BENCH_METHODS", "40"))
#: 50 trials and 10 reproductions on 4 folds, and 10 tests: 250 jobs of each method.
JOBS = 250
BENCHMARK = {
    "name": "cluster",
    "dataset": "glyphs",
    "model": {"trunk": "conv-small"},
    "transforms": {"size": 16, "mean": [0.5], "std": [0.5], "flip": 0.0},
    "training": {"batch_size": 32},
    "search": {"trials": 50, "sampler": "sobol", "generation": 10},
    "methods": [
        {"name": f"method {n}", "loss": "contrastive", "search": {"loss.neg_margin": {"low": 0.1, "high": 1.0}}}
        for n in range(METHODS)
    ],
}


class Cluster:
    """A pool on simulated time; counts the seconds of the processor that are its own."""

    def __init__(self, store):
        self.store, self.now, self.own = store, 0.0, 0.0
        self.running, self.leases, self.random = [], {}, random.Random(0)

    @property
    def idle(self):
        return WORKERS - len(self.running)

    def submit(self, job, request):
        with self._own():
            run = digest(request)
            self.leases[job] = self.store.leases.take(run[:32], {"job": job, "run": run})
            until = self.now + SECONDS * self.random.uniform(0.8, 1.2)
            heapq.heappush(self.running, (until, job, run, request))

    def news(self, timeout):
        with self._own():
            self.now, job, run, request = heapq.heappop(self.running)
            results = {"best": {"map_at_r": self.random.random()}} if request["task"] == "train" else {"separated": []}
            self.store.commit(
                Record(run=run, request=request, outcome="completed", results=results, cost={"seconds": SECONDS})
            )
            self.leases.pop(job).release()
        return [Message("done", job)]

    def close(self):
        pass

    @contextmanager
    def _own(self):
        before = time.thread_time()
        yield
        self.own += time.thread_time() - before


def test_coordinator(tmp_path, monkeypatch):
    study = open_study(load_benchmark(BENCHMARK), tmp_path / "store")
    cluster = Cluster(Store(tmp_path / "store"))

    @contextmanager
    def pool_of(*_):
        yield cluster

    monkeypatch.setattr(coordinator, "pool_of", pool_of)
    before = time.process_time()
    with closing(Events(tmp_path / "store" / "events.jsonl", Watch())) as events:
        summary = run_plan(study, events)
    spent = time.process_time() - before - cluster.own
    assert len(summary.done) == JOBS * METHODS
    each = spent / len(summary.done)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{len(summary.done)} jobs in {cluster.now:.0f} simulated seconds; coordinator: {1000 * each:.2f} ms a job,"
    )
    print(
        f"{100 * each * WORKERS / SECONDS:.0f}% of a core at {WORKERS / SECONDS:.0f} jobs/s; peak memory {peak:.0f} MiB"
    )
