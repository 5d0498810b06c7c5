"""What a plan will cost, from a few timed steps of every method on this machine."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from mlbench.api.splits import Part
from mlbench.execution.context import context_of
from mlbench.execution.study import Study
from mlbench.execution.worker import Worker
from mlbench.protocols import Job
from mlbench.spec import Benchmark, Training
from mlbench.training import train

#: Steps and validation images that are timed of every method.
_STEPS, _IMAGES = 4, 64


@dataclass(frozen=True)
class Estimate:
    """The cost of one method, on one worker.

    Attributes:
        method: Its name.
        step: Seconds of one batch; 0 where nothing is trained.
        image: Seconds to embed one image.
        training: Seconds of one training: if it stops at its first occasion, and if it goes to its last epoch.
        test: Seconds of one test.
        least: Seconds of all its jobs, if every training stops at its first occasion.
        most: The same, if every training goes to its last epoch.
    """

    method: str
    step: float
    image: float
    training: tuple[float, float]
    test: float
    least: float
    most: float

    def of(self, job: Job) -> tuple[float, float]:
        """Least and most seconds of one of its jobs. Of a trial in parts, the first one has those of all."""
        if job.role == "test":
            return self.test, self.test
        return (0.0, 0.0) if job.rung else self.training


def estimates(study: Study) -> Iterator[Estimate]:
    """Time every method of a plan, one after another. Nothing is stored.

    What was timed is the benchmark's device, alone on it; how often a training validates before it stops is not known
    beforehand, so that the cost is between two bounds. What several ranks will share is timed in one process: at
    least cost they are so many times as fast, at most they gain nothing. The search for parameters is not counted.

    Raises:
        TrainingStopped: If a method gives up within the few steps.
        MlbenchError: As in a run.
    """
    with TemporaryDirectory() as folder:
        worker = Worker(replace(context_of(study), store=folder))
        for method in study.benchmark.methods:
            yield _estimate(study, worker, [job for job in study.plan.jobs if job.method == method.name])


def _estimate(study: Study, worker: Worker, jobs: list[Job]) -> Estimate:
    first = next(job for job in jobs if job.role != "test" and not job.after)
    request = study.request(first, {})
    assert isinstance(request, dict)
    splits = worker.splits(request)
    _, select = splits.fold_parts(0)
    timed = _time(worker, request, _sample(worker, select))
    validated, tested = _size(worker, select), sum(_size(worker, part) for part in splits.test_parts() if part)
    # Trials that may be stopped early are not: they are trained in parts, of which the first is timed.
    last = study.benchmark.training.max_epochs
    training = Training.model_validate(request.get("training", {}) | {"max_epochs": last})
    bounds = _bounds(training) if timed.trained else [(0, 1), (0, 1)]
    shortest, longest = (
        epochs * timed.epoch(training) / faster + validations * validated * timed.image
        for (epochs, validations), faster in zip(bounds, (study.benchmark.training.ranks, 1), strict=True)
    )
    test = len(splits.folds) * tested * timed.image
    trainings = sum(job.role != "test" and not job.rung for job in jobs)
    tests = sum(job.role == "test" for job in jobs)
    least, most = (trainings * seconds + tests * test for seconds in (shortest, longest))
    return Estimate(first.method, timed.step, timed.image, (shortest, longest), test, least, most)


def device_name(benchmark: Benchmark) -> str:
    """What a benchmark's device is, in words: ``cpu, 1 thread``."""
    device, threads = benchmark.runtime.devices[0], benchmark.training.threads
    if device.startswith("cuda"):
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device}, {threads} thread{'s'[: threads != 1]}"


@dataclass(frozen=True)
class _Timed:
    trained: bool
    step: float
    refresh: float
    image: float

    def epoch(self, training: Training) -> float:
        return self.refresh + training.iterations_per_epoch * self.step


def _time(worker: Worker, request: Mapping[str, Any], sample: Part) -> _Timed:
    learn, select = worker.views(request, [worker.splits(request).fold_parts(0)[0], sample])
    setup = worker.setup(request, learn)

    def run(steps: int) -> tuple[float, float]:
        """Seconds of an epoch of so many steps, and of its validation."""
        training = setup.training.model_copy(update={"iterations_per_epoch": steps, "max_epochs": 1})
        started = time.perf_counter()
        done = train(replace(setup, training=training), learn, select, lambda told: None)
        return done.training_seconds, time.perf_counter() - started - done.training_seconds

    run(1)  # what only the first step does
    one, _ = run(1)
    several, validation = run(1 + _STEPS)
    step = (several - one) / _STEPS
    # A sampler may look at all items at the start of an epoch.
    return _Timed(setup.loss is not None, max(step, 0.0), max(one - step, 0.0), validation / len(select))


def _bounds(training: Training) -> list[tuple[int, int]]:
    """Epochs and validations of a training that stops at the first occasion, and of one that never does."""
    every, last = training.evaluate_every, training.max_epochs
    # The best is the first validation; then validations until the patience is over.
    first = min(last, every * (2 + training.patience // every))
    return [(epochs, -(-epochs // every)) for epochs in (first, last)]


def _sample(worker: Worker, part: Part) -> Part:
    """Some items of a part, two of a class: enough to validate on."""
    labels = worker.dataset.items.labels
    shown = np.arange(len(labels)) if part.items is None else np.array(part.items)
    items: list[int] = []
    for label in part.classes[: _IMAGES // 2]:
        items += shown[labels[shown] == label][:2].tolist()
    return Part(part.classes, tuple(items))


def _size(worker: Worker, part: Part) -> int:
    labels = worker.dataset.items.labels
    shown = labels if part.items is None else labels[list(part.items)]
    return int(np.isin(shown, part.classes).sum())
