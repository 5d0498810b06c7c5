"""Carries out a plan: what is done is in the store, what is ready goes to the pool, until nothing is left."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mlbench.api import errors
from mlbench.execution.cores import available_cores
from mlbench.execution.environment import environment
from mlbench.execution.pool import InProcess, LocalProcesses, Message, Pool
from mlbench.execution.preparation import prepare_images
from mlbench.execution.study import Study
from mlbench.execution.watch import Watch
from mlbench.execution.worker import Context
from mlbench.protocols import Job, Outcome
from mlbench.protocols.recipe import as_table, dataset_table
from mlbench.registry import used_files
from mlbench.spec import Benchmark, digest
from mlbench.store import Record


@dataclass
class Summary:
    """How a plan went: keys of the jobs that were done now, that were there before, and that have no result."""

    done: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All jobs accounted for."""
        return len(self.done) + len(self.cached) + len(self.failed)


def run_plan(study: Study, watch: Watch, *, retry_failed: bool = False) -> Summary:
    """Run every job of the study that has no record yet.

    Args:
        study: The study; its store is claimed.
        watch: Is told what happens.
        retry_failed: Set aside records of runs that failed, diverged or collapsed, and do them again.

    Raises:
        StoreError: If the store belongs to another plan or cannot be written.
        DataError: If the dataset cannot be read.
        KeyboardInterrupt: If interrupted; running jobs are lost, the same command resumes.
    """
    study.claim()
    return _Coordinator(study, watch, retry_failed).run()


class _Coordinator:
    def __init__(self, study: Study, watch: Watch, retry_failed: bool) -> None:
        self.study = study
        self.watch = watch
        self.retry_failed = retry_failed
        self.outcomes: dict[str, Outcome] = {}
        self.pending = list(study.plan.jobs)
        self.running: dict[str, tuple[Job, dict[str, Any]]] = {}
        self.summary = Summary()

    def run(self) -> Summary:
        ready = self._ready()
        self._take_stock(ready)
        self.watch.begin(len(self.study.plan), self.summary.total)
        if self.pending:
            assert self.study.dataset is not None
            prepare_images(self.study.dataset, self.study.benchmark, self.watch)
            with _pool(self.study, len(self.pending)) as pool:
                while self.pending or self.running:
                    self._fill(pool)
                    if self.running:
                        for message in pool.news():
                            self._hear(message)
        self._set_superseded_aside()
        self.watch.end(self.summary)
        return self.summary

    def _ready(self) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Pending jobs whose requests are known, without those that are done or can never be."""
        for job in list(self.pending):
            if any(key not in self.outcomes for key in job.after):
                continue
            request = self.study.request(job, self.outcomes)
            if request is None:
                self.pending.remove(job)
                self._failed(job, "impossible: nothing before it succeeded")
            elif not self._known(job, request):
                yield job, request

    def _take_stock(self, ready: Iterator[tuple[Job, dict[str, Any]]]) -> None:
        """Go through what the store already holds, before any worker is started."""
        for _ in ready:
            pass

    def _known(self, job: Job, request: dict[str, Any]) -> bool:
        record = self.study.store.get(digest(request))
        if record is not None and record.outcome != "completed" and self.retry_failed:
            self.study.store.forget(record)
            record = None
        if record is None:
            return False
        self.pending.remove(job)
        self._finished(job, record, self.summary.cached)
        return True

    def _fill(self, pool: Pool) -> None:
        ready = self._ready()
        while pool.idle and (found := next(ready, None)):
            job, request = found
            self.pending.remove(job)
            self.running[job.key] = (job, request)
            pool.submit(job.key, request)
            self.watch.started(job.key)

    def _hear(self, message: Message) -> None:
        if message.kind == "fatal":
            raise getattr(errors, message.content["error"], errors.MlbenchError)(message.content["text"])
        if message.kind == "told":
            self.watch.told(message.job, message.content)
            return
        job, request = self.running.pop(message.job)
        if message.kind == "died":
            self.study.store.commit(_died(request, message.content))
        record = self.study.store.get(digest(request))
        if record is None:
            raise errors.StoreError(f"{job.key}: its record vanished from {self.study.store.path}")
        self._finished(job, record, self.summary.done)

    def _set_superseded_aside(self) -> None:
        """Keep one record for each job: a failure that is retried can lead the search to other runs than before."""
        methods = {method.name for method in self.study.benchmark.methods}
        current = {outcome.run for outcome in self.outcomes.values()}
        for record in list(self.study.store.records()):
            stale = record.method in methods and record.run not in current
            if stale and self.study.store.folder(record.run).exists():  # else it is packed, and not ours to move
                self.study.store.forget(record)

    def _finished(self, job: Job, record: Record, kept: list[str]) -> None:
        self.outcomes[job.key] = Outcome(record.run, record.score, record.curve)
        if record.outcome == "completed":
            kept.append(job.key)
            self.watch.finished(
                job.key, record.score, record.cost.get("seconds", 0.0), cached=kept is self.summary.cached
            )
        else:
            reason = (record.error or "").partition("\n")[0]
            self._failed(job, f"{record.outcome}: {reason}")

    def _failed(self, job: Job, reason: str) -> None:
        self.outcomes.setdefault(job.key, Outcome("", None))
        self.summary.failed[job.key] = reason
        self.watch.failed(job.key, reason)


def context_of(study: Study) -> Context:
    """What a study's workers are told."""
    benchmark, loaders = study.benchmark, study.benchmark.runtime.loaders
    device = benchmark.runtime.device
    if loaders is None:
        loaders = 0 if device == "cpu" else max(1, available_cores() // max(1, _workers(benchmark)) - 1)
    return Context(
        str(study.store.path),
        dataset_table(benchmark),
        device,
        benchmark.training.threads,
        used_files(),
        as_table(benchmark.model.trunk),
        skipped=study.recipe.dataset.skipped,
        loaders=loaders,
    )


def _workers(benchmark: Benchmark) -> int:
    """How many worker processes; 0 for none but this one."""
    if benchmark.runtime.workers is not None:
        return benchmark.runtime.workers
    return max(1, available_cores() // benchmark.training.threads) if benchmark.runtime.device == "cpu" else 1


@contextmanager
def _pool(study: Study, jobs: int) -> Iterator[Pool]:
    context, workers = context_of(study), _workers(study.benchmark)
    pool: Pool = LocalProcesses(context, min(workers, jobs)) if workers else InProcess(context)
    try:
        yield pool
    finally:
        pool.close()


def _died(request: Mapping[str, Any], exit_code: int | None) -> Record:
    how = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"
    error = f"the worker process died ({how}); signal 9 is what the system sends when memory runs out"
    return Record(run=digest(request), request=dict(request), outcome="failed", error=error, environment=environment())
