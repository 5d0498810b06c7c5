"""Which executor a benchmark's runs go to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from shutil import which

from mlbench.api.errors import ConfigError
from mlbench.execution.context import Context
from mlbench.execution.control import Control
from mlbench.execution.cores import available_cores
from mlbench.execution.local import LocalProcesses
from mlbench.execution.pool import InProcess, Pool
from mlbench.execution.workers import workers_of
from mlbench.spec import Benchmark

#: Executors that need more than mlbench itself: the module, and the extra that brings it.
_EXTRAS = {"ray": ("ray", "ray"), "slurm": ("submitit", "slurm")}


@contextmanager
def pool_of(benchmark: Benchmark, context: Context, jobs: int, control: Control) -> Iterator[Pool]:
    """The executor, until the block ends.

    Args:
        benchmark: Says which.
        context: What workers are told.
        jobs: How many jobs are left; more workers make no sense.
        control: Is asked by jobs in this process.

    Raises:
        ConfigError: If it needs a package that is not installed, or cannot do what is asked of it.
    """
    pool = _pool(benchmark, context, jobs, control)
    try:
        yield pool
    finally:
        pool.close()


def _pool(benchmark: Benchmark, context: Context, jobs: int, control: Control) -> Pool:
    runtime, training = benchmark.runtime, benchmark.training
    _check_extra(runtime.executor)
    workers = workers_of(runtime, training)
    if runtime.executor == "ray":
        from mlbench.execution.ray_pool import RayPool

        gpus = 0 if runtime.device == "cpu" else training.ranks / runtime.slots
        needs = {"num_cpus": training.threads * training.ranks, "num_gpus": gpus}
        context = replace(context, gpu_share=1 / runtime.slots)
        return RayPool(context, runtime.workers, runtime.address, needs, available_cores())
    if runtime.executor == "slurm":
        from mlbench.execution.slurm_pool import SlurmPool

        if runtime.slurm.cluster == "slurm" and which("srun") is None:
            raise ConfigError("executor slurm: no srun here; run the command where jobs are submitted from")
        return SlurmPool(context, workers, runtime.slurm, training.ranks)
    if not workers:
        return InProcess(context, control.stops)
    devices = runtime.devices
    return LocalProcesses(context, [devices[number % len(devices)] for number in range(min(workers, jobs))])


def _check_extra(executor: str) -> None:
    module, extra = _EXTRAS.get(executor, ("mlbench", ""))
    if find_spec(module) is None:
        raise ConfigError(
            f"executor {executor} needs the package {module}: pip install 'mlbench-dml[{extra}]'; "
            f"without it, --executor local uses this machine"
        )
