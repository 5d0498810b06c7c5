"""Every kernel in every shipped configuration, compiled through the launch that a GPU would run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from itertools import count
from tempfile import TemporaryDirectory

from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from ..tuning import Tiling
from .kernels import KERNELS, Launch

ARCHITECTURES = {80: 163 << 10, 90: 227 << 10, 100: 227 << 10, 120: 99 << 10}
"""Shared memory that one block may use, in bytes."""

_devices = count()


@dataclass(frozen=True)
class Job:
    """One kernel in one configuration for one architecture."""

    name: str
    precision: str
    tiling: Tiling
    arch: int

    @property
    def kernel(self) -> str:
        """The name of the kernel and its configuration."""
        return f"{self.name}, {self.precision}, {self.tiling}"

    def launch(self) -> Launch:
        """The launch that a GPU would run."""
        return KERNELS[self.name].launch(self.precision, self.tiling)


@dataclass(frozen=True)
class Compiled:
    """What the compiler gave: `ttir` is Triton's own form, `log` that of ptxas, `shared` in bytes."""

    ttir: str
    ptx: str
    cubin: bytes
    log: str
    shared: int


def shipped(arch: int, only: str = "") -> Iterator[Job]:
    """The shipped configurations whose names contain `only`, each once."""
    jobs = dict.fromkeys(
        Job(name, precision, tiling, arch)
        for name, kernel in KERNELS.items()
        for precision, tiling in kernel.configurations(arch, ARCHITECTURES[arch])
    )
    return (job for job in jobs if only in job.kernel)


def compile_job(job: Job) -> Compiled:
    """Compile anew, without a driver or a cache.

    Raises:
        RuntimeError: Triton interprets in this process.
    """
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise RuntimeError("TRITON_INTERPRET=1: the interpreter has no machine code; unset it")
    function, grid, arguments, options = job.launch()
    log = StringIO()
    with TemporaryDirectory() as folder, knobs.cache.scope(), knobs.nvidia.scope(), redirect_stdout(log):
        knobs.cache.dir, knobs.nvidia.dump_ptxas_log = folder, True
        driver.set_active(_AbsentGPU(job.arch))
        try:
            kernel = function.warmup(*arguments, grid=grid, **options)
        finally:
            with suppress(RuntimeError):  # without a GPU there is no driver to go back to
                driver.reset_active()
    return Compiled(kernel.asm["ttir"], kernel.asm["ptx"], kernel.asm["cubin"], log.getvalue(), kernel.metadata.shared)


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
