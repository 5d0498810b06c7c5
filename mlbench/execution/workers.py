"""How many runs go on at once, and with how many threads each makes its batches."""

from mlbench.execution.cores import available_cores
from mlbench.spec import Runtime, Training

#: How many runs wait or run in SLURM's queue at once, unless `runtime.workers` says otherwise.
_QUEUED = 64


def workers_of(runtime: Runtime, training: Training) -> int:
    """How many jobs run at once; 0 for one in this process.

    >>> workers_of(Runtime(device="cuda:0,cuda:1", slots=3), Training())
    6
    """
    if runtime.in_process:
        return 0
    if runtime.workers is not None:
        return runtime.workers
    if runtime.executor == "slurm" and runtime.slurm.cluster == "slurm":
        return _QUEUED
    if runtime.device == "cpu":
        return max(1, available_cores() // (training.threads * training.ranks))
    return len(runtime.devices) * runtime.slots


def loaders_of(runtime: Runtime, training: Training) -> int:
    """Threads of each worker that make batches ahead."""
    if runtime.loaders is not None:
        return runtime.loaders
    if runtime.device == "cpu":
        return 0
    if runtime.executor in ("ray", "slurm"):  # how many cores are there is for the engine to know
        return 1
    return max(1, available_cores() // (max(1, workers_of(runtime, training)) * training.ranks) - 1)
