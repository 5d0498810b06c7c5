"""Carries out a plan: what is done is in the store, what is ready goes to the pool, until nothing is left."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mlbench.api import errors
from mlbench.execution.context import context_of
from mlbench.execution.control import Control
from mlbench.execution.elsewhere import Elsewhere
from mlbench.execution.environment import environment
from mlbench.execution.executors import pool_of
from mlbench.execution.failures import WORTH_RETRYING
from mlbench.execution.frontier import Frontier
from mlbench.execution.guard import GRACE
from mlbench.execution.message import Message
from mlbench.execution.pool import Pool
from mlbench.execution.preparation import prepare_images
from mlbench.execution.spent import Spent
from mlbench.execution.study import Study
from mlbench.execution.watch import Watch
from mlbench.execution.work import Work
from mlbench.protocols import Job, Outcome
from mlbench.spec import digest
from mlbench.store import Record, Store
from mlbench.store.leftovers import clear_up

#: Lease of whoever writes the leaderboard.
_PUBLISHING = "leaderboard"
#: Seconds within which other machines see what one commits: network disks remember for a while what was not there.
_SEEN = 90.0
#: Seconds to wait for news before looking at signals, requests and what runs elsewhere.
_PAUSE = 0.25


@dataclass
class Summary:
    """How a plan went.

    Attributes:
        done: Keys of the jobs that were done now.
        cached: Keys of those that were done before.
        failed: Those that have no result, and why.
        spared: Keys of those that had nothing left to do, since their trial was stopped early.
        left: Keys of those that nobody got to, since the run was stopped.
    """

    done: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    spared: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All jobs accounted for."""
        return len(self.done) + len(self.cached) + len(self.failed) + len(self.spared)


def run_plan(
    study: Study, watch: Watch, *, retry_failed: bool = False, publish: Callable[[Store], None] = lambda store: None
) -> Summary:
    """Run every job of the study that has no record yet.

    Args:
        study: The study; its store is claimed.
        watch: Is told what happens.
        retry_failed: Set aside records of runs that failed, diverged or collapsed, and do them again.
        publish: Called with the store at the end, if nobody interrupted; others see that this one is still at work.

    Raises:
        StoreError: If the store belongs to another plan or cannot be written.
        DataError: If the dataset cannot be read.
        KeyboardInterrupt: If interrupted; the same command resumes.
    """
    study.claim()
    study.store.leases.alive()  # a first look: whoever has not counted since then is dead at the end
    control = Control()
    with control.requests(study.store):
        summary = _Coordinator(study, watch, control, retry_failed).run()
        if summary.left and control.interrupted:
            raise KeyboardInterrupt
        turn = study.store.leases.wait_for(_PUBLISHING)  # whoever has looked before another tidied writes before it
        try:
            publish(study.store)
        finally:
            turn.release()
    if not summary.left:
        clear_up(study.store, [method.name for method in study.benchmark.methods])
    return summary


class _Coordinator:
    def __init__(self, study: Study, watch: Watch, control: Control, retry_failed: bool) -> None:
        self.study, self.watch, self.control = study, watch, control
        self.retry_failed = retry_failed
        self.runtime = study.benchmark.runtime
        self.outcomes: dict[str, Outcome] = {}
        self.frontier = Frontier(study.plan.jobs)
        self.found: dict[str, Work] = {}
        self.running: dict[str, Work] = {}
        self.elsewhere = Elsewhere(study.store.leases)
        self.attempts: Counter[str] = Counter()
        self.deaths: dict[str, Any] = {}
        self.spent = Spent()
        self.summary = Summary()

    def run(self) -> Summary:
        """Until nothing is left that could be done."""
        self.found = {work.job.key: work for work in self._ready()}
        for work in self.found.values():
            self.frontier.put_back(work.job)
        self.watch.begin(len(self.study.plan), self.summary.total)
        if self.found:
            assert self.study.dataset is not None
            prepare_images(self.study.dataset, self.study.benchmark, self._preparing)
            left = len(self.study.plan) - self.summary.total
            # Signals not before there is something to let end: a preparation can be left at once.
            with (
                self.control.signals(self.watch.note),
                pool_of(self.study.benchmark, context_of(self.study), left, self.control) as pool,
            ):
                self._work(pool)
        self.summary.left = [job.key for job in self.study.plan.jobs if job.key not in self.outcomes]
        if not self.summary.left:
            if self._overtaken():
                return self._again()
            if self.control.all_are_through(self.study.store):  # others may still need what is superseded
                self._set_superseded_aside()
        self.watch.end(self.summary)
        return self.summary

    def _preparing(self, done: int, total: int, seconds_left: float | None) -> None:
        if self.control.interrupted:
            raise KeyboardInterrupt
        self.watch.preparing(done, total, seconds_left)

    def _work(self, pool: Pool) -> None:
        asked: set[str] = set()
        deadline: float | None = None
        while True:
            if not self.control.draining:
                self._fill(pool)
            if not self.running and (self.control.draining or (not self.elsewhere and not self.frontier)):
                return
            if self.control.stopping or self.control.cancelled:
                for key in [key for key in self.running if key not in asked and self.control.stops(key)]:
                    asked.add(key)
                    pool.cancel(key)
            if self.control.stopping:
                deadline = deadline or time.monotonic() + GRACE + 1
                if time.monotonic() > deadline:
                    return  # what has not stopped by itself ends with the pool
            for message in pool.news(_PAUSE):
                self._hear(message)
            for work in self.elsewhere.given_up():
                if death := self.deaths.pop(work.job.key, None):
                    self._died(work, **death)
                else:
                    self.frontier.put_back(work.job)

    def _ready(self) -> Iterator[Work]:
        """Jobs that can start, without those that are done or can never be."""
        for job in self.frontier:
            if job.key in self.control.cancelled:
                continue
            if work := self.found.pop(job.key, None):
                if not self._known(work):  # somebody else may have done it since
                    yield work
                continue
            request = self.study.request(job, self.outcomes)
            if request is None:
                self._failed(job, "impossible: nothing before it succeeded")
            elif isinstance(request, Outcome):
                self.outcomes[job.key] = request
                self.summary.spared.append(job.key)
                self.watch.spared(job.key)
                self.frontier.close(job.key)
            elif not self._known(work := Work(job, request, digest(request))):
                yield work

    def _known(self, work: Work) -> bool:
        record = self.study.store.get(work.run)
        if record is not None and record.outcome != "completed" and self.retry_failed:
            self.study.store.forget(record, "done again: --retry-failed")
            record = None
        if record is None:
            return False
        self._finished(work.job, record, self.summary.cached)
        return True

    def _fill(self, pool: Pool) -> None:
        ready = self._ready()
        while pool.idle and (work := next(ready, None)):
            if self.elsewhere.has(work):
                self._leave(work)
                continue
            key = work.job.key
            self.running[key] = work
            pool.submit(key, work.request)
            self.watch.started(key, work.run)

    def _hear(self, message: Message) -> None:
        if message.kind == "fatal":
            raise getattr(errors, message.content["error"], errors.MlbenchError)(message.content["text"])
        if message.kind == "told":
            self.watch.told(message.job, message.content)
            return
        if message.kind in ("note", "lost"):
            self.watch.note(message.content)
            if message.kind == "lost":
                self.control.interrupt(now=True)
            return
        work = self.running.pop(message.job)
        if message.kind == "stopped":
            self.watch.stopped(message.job)
            self.frontier.put_back(work.job)  # it goes on, if nobody here asked it to stop
        elif message.kind == "busy":
            self._leave(work)
        elif message.kind == "died":
            self._died(work, **message.content)
        else:
            self._done(work)

    def _done(self, work: Work) -> None:
        until = time.monotonic() + _SEEN
        while (record := self.study.store.get(work.run)) is None:
            if self.study.store.leases.holder(work.lease):  # it failed, and another command does it again already
                self._leave(work)
                return
            if time.monotonic() > until:
                raise errors.StoreError(
                    f"{work.job.key}: its worker committed a record, which is not in {self.study.store.path} after "
                    f"{_SEEN:.0f} seconds; see that all machines have the same folder there, and what "
                    "`mlbench status` says was set aside; then give the same command again"
                )
            time.sleep(_PAUSE)
        self._finished(work.job, record, self.summary.done)

    def _died(self, work: Work, reason: Any, error: str) -> None:
        """Try again, or record the failure."""
        key, run, store = work.job.key, work.run, self.study.store
        self.attempts[key] += 1
        if reason in WORTH_RETRYING and self.attempts[key] <= self.runtime.retries:
            self.watch.retried(key, reason)
            self.frontier.put_back(work.job)
            return
        lease = store.leases.take(work.lease, {"job": key, "run": run})
        if lease is None:  # from another machine it may look held for a while
            self.deaths[key] = {"reason": reason, "error": error}
            self._leave(work)
            return
        try:
            if store.get(run) is None:
                failed = {"outcome": "failed", "reason": reason, "error": error}
                cost = self.spent.at_least(work.job, lease.spent)
                store.commit(Record(run=run, request=work.request, environment=environment(), cost=cost, **failed))
        finally:
            lease.release()
        self._done(work)

    def _leave(self, work: Work) -> None:
        self.elsewhere.leave(work)
        self.watch.stopped(work.job.key)

    def _overtaken(self) -> bool:
        """Whether somebody had failures done again by which this one went: others are then the runs that count."""
        failed = [outcome.run for outcome in self.outcomes.values() if outcome.run and outcome.score is None]
        records = map(self.study.store.get, failed)
        return any(record is None or record.outcome == "completed" for record in records)

    def _again(self) -> Summary:
        """Go through the plan once more, with what is in the store now."""
        self.watch.again()
        again = _Coordinator(self.study, self.watch, self.control, retry_failed=False).run()
        before = set(self.summary.done)
        again.done += [key for key in again.cached if key in before]
        again.cached = [key for key in again.cached if key not in before]
        return again

    def _set_superseded_aside(self) -> None:
        """Keep one record for each job: a failure that is retried can lead the search to other runs than before."""
        methods = {method.name for method in self.study.benchmark.methods}
        current = {outcome.run for outcome in self.outcomes.values()}
        for record in list(self.study.store.others(current)):
            if record.method in methods:
                self.study.store.forget(record, "superseded: the search went another way when failures were done again")
                shutil.rmtree(self.study.store.state(record.request), ignore_errors=True)

    def _finished(self, job: Job, record: Record, kept: list[str]) -> None:
        self.outcomes[job.key] = Outcome(record.run, record.score, record.epochs)
        cached, seconds = kept is self.summary.cached, self.spent.added(job, record.cost)
        if record.outcome == "completed":
            kept.append(job.key)
            self.watch.finished(job.key, record.score, seconds, cached=cached)
            self.frontier.close(job.key)
        else:
            reason = (record.error or "").partition("\n")[0]
            self._failed(job, f"{record.why}: {reason}", seconds, cached=cached)
            if self.runtime.fail_fast and not cached:
                self.control.halt()

    def _failed(self, job: Job, reason: str, seconds: float = 0.0, *, cached: bool = False) -> None:
        self.outcomes.setdefault(job.key, Outcome("", None))
        self.summary.failed[job.key] = reason
        self.watch.failed(job.key, reason, seconds, cached=cached)
        self.frontier.close(job.key)
