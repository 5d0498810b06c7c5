"""How long a plan will take with the workers that it would get, from what its jobs cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from mlbench.execution.estimate import Estimate
from mlbench.execution.frontier import Frontier
from mlbench.execution.study import Study
from mlbench.execution.workers import workers_of
from mlbench.protocols import Job


@dataclass(frozen=True)
class Forecast:
    """What a plan takes, between two bounds: those of its `Estimate`.

    Attributes:
        workers: How many jobs run at once.
        wall: Seconds from the first job to the end of the last one.
        gpu: Seconds of GPU that the jobs hold; zero without one.
    """

    workers: int
    wall: tuple[float, float]
    gpu: tuple[float, float]


def forecast(study: Study, costs: Sequence[Estimate]) -> Forecast | None:
    """What the whole plan takes; None where only Ray knows how many jobs run at once: on a cluster, and on GPUs.

    Jobs are as long as on a worker alone, however many there are. Time in a queue or to start workers is not counted.
    """
    runtime, training = study.benchmark.runtime, study.benchmark.training
    if runtime.executor == "ray" and runtime.workers is None and (runtime.address or runtime.device != "cpu"):
        return None
    workers, of_method = max(1, workers_of(runtime, training)), {cost.method: cost for cost in costs}

    def seconds(bound: int) -> Callable[[Job], float]:
        return lambda job: of_method[job.method].of(job)[bound]

    def gpus(job: Job) -> float:
        held = training.ranks if job.role != "test" and of_method[job.method].step else 1
        return held / runtime.slots if runtime.device.startswith("cuda") else 0.0

    jobs = study.plan.jobs
    least, most = (wall_of(jobs, seconds(bound), workers) for bound in (0, 1))
    gpu_least, gpu_most = (sum(gpus(job) * seconds(bound)(job) for job in jobs) for bound in (0, 1))
    return Forecast(workers, (least, most), (gpu_least, gpu_most))


def wall_of(jobs: Sequence[Job], seconds: Callable[[Job], float], workers: int) -> float:
    """Seconds until the last job is done, if each goes to a worker as soon as those before it are done."""
    frontier, now = Frontier(jobs), 0.0
    running: list[tuple[float, str]] = []
    while frontier or running:
        while len(running) < workers and (job := next(iter(frontier), None)):
            heappush(running, (now + seconds(job), job.key))
        now, key = heappop(running)
        frontier.close(key)
    return now
