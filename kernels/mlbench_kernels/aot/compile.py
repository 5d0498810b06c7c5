"""Every kernel in every shipped configuration, compiled through the launch that a GPU would run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from itertools import count, product
from tempfile import TemporaryDirectory

import torch
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from ..engine.layout import Layout
from ..engine.problem import Problem
from ..engine.triton import _stream, launch
from ..precision import PRECISIONS
from ..rules.beyond import Beyond
from ..rules.distance_sum import DistanceSum
from ..rules.distance_weighted import DistanceWeighted
from ..rules.extreme import Extreme
from ..rules.hinge import Hinge
from ..rules.log_sum_exp import LogSumExp
from ..rules.nearer import Nearer
from ..rules.rule import Rule
from ..rules.softplus import Softplus
from ..rules.top_k import TopK
from ..rules.triplets import Triplets
from ..tuning import Tiling, find_tiling

ARCHITECTURES = {80: 163 << 10, 90: 227 << 10, 100: 227 << 10, 120: 99 << 10}
"""Shared memory that one block may use, in bytes."""

_COUNT = 64  # rows of the problem that is launched; its size is not compiled in

RULES: dict[str, Rule] = {
    "farthest positive": Extreme("positives", farthest=True),
    "nearest negative": Extreme("negatives"),
    "semi-hard negatives of 3 positives": Beyond("negatives", torch.zeros(_COUNT, 3)),
    "8 hardest negatives": TopK("negatives", 8),
    "distance-weighted negatives of 3 positives": DistanceWeighted("negatives", _COUNT, 3, seed=0, dimension=256),
    "negatives nearer than 6 thresholds": Nearer("negatives", torch.zeros(_COUNT, 6)),
    "hinges of negatives": Hinge("negatives", 1.0),
    "log-sum-exp of negatives": LogSumExp("negatives", -10.0),
    "softplus of positives": Softplus("positives", 10.0, thresholds=torch.zeros(_COUNT, 1)),
    "distance sum of positives": DistanceSum("positives"),
    "semi-hard triplets of 3 positives": Triplets("negatives", 0.2, 1.0, thresholds=torch.zeros(_COUNT, 3)),
}
"""A representative of every Triton form in `rules`."""

_devices = count()


@dataclass(frozen=True)
class Job:
    """One kernel in one configuration for one architecture."""

    rule: str
    square: bool
    precision: str
    tiling: Tiling
    arch: int

    @property
    def kernel(self) -> str:
        """The name of the kernel and its configuration."""
        form = "any form" if RULES[self.rule].pool == "negatives" else "square" if self.square else "rectangular"
        return f"{self.rule}, {form}, {self.precision}, {self.tiling}"


@dataclass(frozen=True)
class Compiled:
    """What the compiler gave: `log` is that of ptxas, `shared` in bytes."""

    ptx: str
    cubin: bytes
    log: str
    shared: int


def shipped(arch: int, only: str = "") -> Iterator[Job]:
    """The configurations of the tuning table whose names contain `only`, each once."""
    jobs = dict.fromkeys(
        Job(rule, square, precision, find_tiling(arch, precision, dimension, ARCHITECTURES[arch], form.width), arch)
        for rule, form in RULES.items()
        for square in ((True,) if form.pool == "negatives" else (True, False))  # among negatives there is no self
        for precision, dimension in product(PRECISIONS, (256, 512))
    )
    return (job for job in jobs if only in job.kernel)


def compile_job(job: Job) -> Compiled:
    """Compile anew, without a driver or a cache.

    Raises:
        RuntimeError: Triton interprets in this process.
    """
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise RuntimeError("TRITON_INTERPRET=1: the interpreter has no machine code; unset it")
    rule, embeddings, labels = RULES[job.rule], torch.zeros(_COUNT, 256), torch.zeros(_COUNT, dtype=torch.int64)
    problem = Problem(embeddings, labels, embeddings, labels, job.square, "squared-euclidean")
    grid, arguments, options = launch(rule, problem, Layout(rule, problem), job.precision, job.tiling)
    log = StringIO()
    with TemporaryDirectory() as folder, knobs.cache.scope(), knobs.nvidia.scope(), redirect_stdout(log):
        knobs.cache.dir, knobs.nvidia.dump_ptxas_log = folder, True
        driver.set_active(_AbsentGPU(job.arch))
        try:
            kernel = _stream.warmup(*arguments, grid=grid, **options)
        finally:
            with suppress(RuntimeError):  # without a GPU there is no driver to go back to
                driver.reset_active()
    return Compiled(kernel.asm["ptx"], kernel.asm["cubin"], log.getvalue(), kernel.metadata.shared)


class _AbsentGPU:
    """What a launch asks its driver for, answered for a GPU that is not there."""

    def __init__(self, arch: int) -> None:
        self.target = GPUTarget("cuda", arch, 32)
        # A jit function remembers what it compiled by device: a number of its own keeps the architectures apart.
        self.device = next(_devices)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return self.device

    def get_current_stream(self, device: int) -> int:
        return 0
