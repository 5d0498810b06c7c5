"""What workers are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlbench.execution.study import Study
from mlbench.execution.workers import loaders_of
from mlbench.protocols.recipe import as_table, dataset_table
from mlbench.registry import used_files


@dataclass(frozen=True)
class Context:
    """What a worker is told once: where things are and where to compute. Nothing here changes a result.

    Attributes:
        store: Folder of the store.
        dataset: The dataset as a table.
        device: Where to compute.
        threads: Threads of a run.
        plugins: Files of un-packaged code.
        trunk: The trunk as a table; it and the dataset have the paths that requests do not have.
        skipped: Ids of the dataset's items that are left out as damaged.
        loaders: Threads that make batches ahead.
        images: Where the images lie that are trained on; see `Runtime`.
        checkpoint_every: Seconds between two checkpoints.
        timeout: Seconds for one attempt at a run that has a process of its own.
        forks: Whether a worker process copies itself for each job.
        gpu_share: What part of a GPU a run has, where several share one.
    """

    store: str
    dataset: Mapping[str, Any]
    device: str
    threads: int = 1
    plugins: Sequence[str] = ()
    trunk: Mapping[str, Any] | None = None
    skipped: Sequence[str] = ()
    loaders: int = 0
    images: Literal["mapped", "device"] = "mapped"
    checkpoint_every: float = 60.0
    timeout: float | None = None
    forks: bool = False
    gpu_share: float = 1.0


def context_of(study: Study) -> Context:
    """What a study's workers are told."""
    benchmark, runtime = study.benchmark, study.benchmark.runtime
    return Context(
        str(study.store.path),
        dataset_table(benchmark),
        runtime.devices[0],
        benchmark.training.threads,
        used_files(),
        as_table(benchmark.model.trunk),
        skipped=study.recipe.dataset.skipped,
        loaders=loaders_of(runtime, benchmark.training),
        images=runtime.images,
        checkpoint_every=runtime.checkpoint_every,
        timeout=runtime.timeout,
    )
