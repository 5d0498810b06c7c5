"""Whether another shipped benchmark is the one for a dataset."""

import tomllib

from mlbench.spec.benchmark import Benchmark
from mlbench.spec.load import load_benchmark
from mlbench.spec.shipped import benchmark_names, benchmark_text


def better_suited(benchmark: Benchmark) -> str | None:
    """The shipped benchmark on the same dataset in which methods search other spaces, as the Reality Check's do on SOP.

    It extends another one, and this benchmark has at least one of the methods that it changes as they are there.

    >>> better_suited(load_benchmark("reality-check", ["dataset=sop"]))
    'reality-check-sop'
    >>> better_suited(load_benchmark("reality-check", ["dataset=cub200"]))
    """
    for name in benchmark_names():
        tables = tomllib.loads(benchmark_text(name))
        dataset = tables.get("dataset")
        if "extends" in tables and benchmark.dataset.id in (dataset, f"mlbench/{dataset}"):
            here = {method.name: method for method in load_benchmark(name).methods}
            there = load_benchmark(tables["extends"]).methods
            if any(method in benchmark.methods and here.get(method.name, method) != method for method in there):
                return name
    return None
