"""`python -m mlbench_kernels.autotune`: measure tilings on a GPU and keep the fastest in a file of measured entries.

Nothing calls it by itself: a table that was looked up makes the first launch of a shape as fast as the hundredth.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import torch

from .precision import PRECISIONS
from .tuning import TABLE, VARIABLE, Tiling, bucket_of, device_limits, read_entries, write_entries

Measure = Callable[[Tiling], float]


def candidates(precision: str, shared_memory: int) -> Iterator[Tiling]:
    """The table's tilings and others with 16 to 64 pairs per thread, more of which spill; only those that fit."""
    table = (tiling for entry in TABLE.values() for tiling in entry[precision])
    sizes = product((64, 128), (64, 128, 256), (16, 32, 64), (4, 8), (2, 3, 4))
    others = (Tiling(*size) for size in sizes if 16 <= size[0] * size[1] / (32 * size[3]) <= 64)
    return (tiling for tiling in dict.fromkeys((*table, *others)) if tiling.shared_memory(precision) <= shared_memory)


def autotune(
    capability: int, precision: str, bucket: str, shared_memory: int, measure: Measure, path: Path
) -> tuple[Tiling, float]:
    """Measure every candidate, write the fastest into the file at `path`, and return it with its time.

    Args:
        capability: compute capability, 90 for 9.0.
        precision: one of `PRECISIONS`.
        bucket: the one to tune, one of `tuning.BUCKETS`.
        shared_memory: bytes that one block may use.
        measure: the time of a tiling, `inf` where it cannot run.
        path: a file of measured entries; others in it stay.

    Raises:
        RuntimeError: no candidate ran.
    """
    times = {tiling: measure(tiling) for tiling in candidates(precision, shared_memory)}
    best = min(times, key=lambda tiling: times[tiling], default=None)
    if best is None or math.isinf(times[best]):
        raise RuntimeError(f"none of {len(times)} tilings ran for {precision} on compute capability {capability / 10}")
    before = read_entries(path) if path.exists() else {}
    write_entries(path, before | {(capability, precision, bucket): best})
    return best, times[best]


def measure_on_gpu(precision: str, dimension: int, count: int, width: int) -> Measure:
    """Milliseconds, by device events, to find the nearest negative, or the `width` nearest, of `count` random rows."""
    from triton.runtime.errors import OutOfResources
    from triton.testing import do_bench

    from .engine.layout import Layout
    from .engine.problem import Problem
    from .engine.triton import _stream, launch
    from .rules import Extreme, TopK

    rule = TopK("negatives", width) if width else Extreme("negatives")
    embeddings = torch.randn(count, dimension, device="cuda")
    labels = torch.arange(count, device="cuda") // 4
    problem = Problem(embeddings, labels, embeddings, labels, True, "squared-euclidean")
    layout = Layout(rule, problem)

    def measure(tiling: Tiling) -> float:
        grid, arguments, options = launch(rule, problem, layout, precision, tiling)
        try:
            return float(do_bench(lambda: _stream[grid](*arguments, **options), return_mode="median"))
        except OutOfResources:
            return math.inf

    return measure


def main() -> None:
    """Tune one bucket of this machine's GPU."""
    parser = argparse.ArgumentParser(prog="python -m mlbench_kernels.autotune", description=__doc__)
    parser.add_argument("--precision", choices=PRECISIONS, required=True)
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--width", type=int, default=0, help="tune for rules that keep this many; default: for one")
    parser.add_argument("--count", type=int, default=16384, help="rows to measure with")
    parser.add_argument("--file", type=Path, default=os.environ.get(VARIABLE), help=f"default: ${VARIABLE}")
    options = parser.parse_args()
    if options.file is None:
        parser.error(f"--file: missing, and {VARIABLE} is not set")
    if not torch.cuda.is_available():
        parser.error("autotuning measures on a CUDA GPU, and this machine has none")
    capability, shared_memory = device_limits(torch.device("cuda"))
    measure = measure_on_gpu(options.precision, options.dimension, options.count, options.width)
    bucket = bucket_of(options.dimension, options.width)
    tiling, time = autotune(capability, options.precision, bucket, shared_memory, measure, options.file)
    print(f"sm_{capability} {options.precision} {bucket}: {tiling}, {time:.3f} ms; in {options.file}")


if __name__ == "__main__":
    main()
