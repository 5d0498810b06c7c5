"""The protocol of "A Metric Learning Reality Check" (Musgrave, Belongie, Lim, ECCV 2020, arXiv 2003.08505), any size.

For every method: a search of a fixed number of trials, each trained on every fold and scored by its best validation
MAP@R, averaged over the folds; then seeded reproductions of the best trial, tested on classes that nothing has seen.
The winning trial is not among the reproductions, so its luck does not count.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from mlbench.api.errors import ConfigError
from mlbench.api.info import ComponentInfo
from mlbench.api.space import Value
from mlbench.data.batches import batches_of
from mlbench.data.samplers import MPerClass
from mlbench.protocols.job import Job, Outcome, Plan, Role, job_key
from mlbench.protocols.recipe import Recipe, check_method, resolve_method, space_of, with_parameters
from mlbench.search import Trial, propose, survivors
from mlbench.search.propose import seed_of
from mlbench.spec import Method, Training, digest, identity_of

#: Trials whose resolved methods are remembered: as many as may be ready at once in a large study.
_REMEMBERED = 1024


class RealityCheck:
    """Class-disjoint folds, equal budgets, selection on validation, reproductions."""

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="A Metric Learning Reality Check: folds, equal search budgets, seeded reproductions",
        citation="Musgrave, Belongie, Lim: A Metric Learning Reality Check. ECCV 2020, arXiv 2003.08505",
    )
    version: ClassVar[int] = 1

    def __init__(self, recipe: Recipe) -> None:
        """Check that trunk and methods can be built.

        Raises:
            ConfigError: If the trunk does not fit the items or its weights are not there, a method or the evaluation
                names an unknown component, argument or search path, or a metric does not fit the split.
        """
        self.recipe = recipe
        self._proposed: dict[tuple[str, int, tuple[float, ...]], dict[str, Value]] = {}
        self._shared = lru_cache(maxsize=_REMEMBERED)(self._resolved)
        self._keys = lru_cache(maxsize=None)(self._trial_keys)
        self._transforms = identity_of(recipe.benchmark.transforms)
        self._model = identity_of(recipe.benchmark.model) | {"trunk": recipe.trunk().identity()}
        self._split = recipe.split()
        recipe.check_transforms()
        for index, method in enumerate(recipe.benchmark.methods):
            check_method(method, f"methods[{index}]")
        self._reported = recipe.evaluation()

    def _check_batches(self, method: Method, where: str) -> None:
        if method.loss is None:
            return
        above = self.recipe.dataset.superclasses
        training = self.recipe.benchmark.training
        batch_size = method.batch_size or training.batch_size
        if batch_size % training.ranks:
            raise ConfigError(
                f"{where} ({method.name}): training.ranks = {training.ranks} cannot share a batch of {batch_size} "
                "evenly; change one of them"
            )
        sampler = resolve_method(method, where)["sampler"]
        try:
            built = sampler.build(batch_size=batch_size) if sampler else MPerClass(batch_size, method.samples_per_class)
            for fold in self.recipe.splits.folds:
                superclasses = None if above is None else [above[index] for index in fold.train]
                batches_of(built, range(len(fold.train)), 0, superclasses)
        except ConfigError as error:
            raise ConfigError(f"{where} ({method.name}): {error}") from None

    def plan(self) -> Plan:
        """Trials, then reproductions, then one test for every reproduction, method by method.

        Raises:
            ConfigError: If the training classes cannot fill a method's batches.
        """
        for index, method in enumerate(self.recipe.benchmark.methods):
            self._check_batches(method, f"methods[{index}]")
        return Plan(tuple(job for method in self.recipe.benchmark.methods for job in self._jobs(method)))

    def _jobs(self, method: Method) -> list[Job]:
        benchmark = self.recipe.benchmark
        jobs: list[Job] = []
        trials = benchmark.search.trials if method.search else 0
        for first in range(0, trials, benchmark.search.generation):
            for rung in range(len(self._stops) + 1) if self._stops else (None,):
                after = tuple(job.key for job in jobs)
                for number in self._generation(first):
                    jobs += self._trainings(method.name, "trial", number, after, rung)
        searched = tuple(job.key for job in jobs)
        for number in range(benchmark.reproductions):
            trainings = self._trainings(method.name, "reproduction", number, searched)
            jobs += [*trainings, Job(method.name, "test", number, None, tuple(job.key for job in trainings))]
        return jobs

    def _trainings(
        self, method: str, role: Role, number: int, after: tuple[str, ...], rung: int | None = None
    ) -> list[Job]:
        return [Job(method, role, number, fold, after, rung) for fold in range(self.recipe.benchmark.folds)]

    @property
    def _stops(self) -> tuple[int, ...]:
        """The epochs up to which the parts of a trial are trained, but for the last part."""
        stopping = self.recipe.benchmark.search.stopping
        return stopping.epochs if stopping else ()

    def _generation(self, number: int) -> range:
        """The trials of a trial's generation."""
        search = self.recipe.benchmark.search
        first = number - number % search.generation
        return range(first, min(first + search.generation, search.trials))

    def request(self, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, Any] | Outcome | None:
        """See `Protocol.request`."""
        if job.rung and (done := self._stopped(job, job.rung, outcomes)):
            return done
        common = {
            "protocol": {"id": "mlbench/reality-check", "version": self.version},
            "task": "test" if job.role == "test" else "train",
            "dataset": self.recipe.dataset.identity(),
            "split": {"hash": self.recipe.splits.hash, "folds": self.recipe.benchmark.folds} | self._split,
            "job": {"method": job.method, "role": job.role, "number": job.number, "fold": job.fold}
            | ({} if job.rung is None else {"rung": job.rung}),
            "transforms": self._transforms,
            "model": self._model,
            "evaluation": self._evaluation(job),
        }
        specific = self._test(job, outcomes) if job.role == "test" else self._training(job, outcomes)
        return None if specific is None else common | specific

    def _evaluation(self, job: Job) -> dict[str, Any]:
        """What the job measures: no training depends on what else is reported of a test."""
        return {name: value for name, value in self._reported.items() if name != "metrics" or job.role == "test"}

    def _test(self, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, Any] | None:
        if any(outcomes[key].score is None for key in job.after):
            return None
        return {"models": [outcomes[key].run for key in job.after]}

    def _training(self, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, Any] | None:
        if job.role == "trial":
            values: dict[str, Value] | None = self._trial_values(job.method, job.number, outcomes)
        else:
            values = self.best_values(job.method, outcomes)
        if values is None:
            return None
        benchmark = self.recipe.benchmark
        shared = self._shared(job.method, tuple(values.items()))
        if job.rung is not None and job.rung < len(self._stops):
            shared = shared | {"training": shared["training"] | {"max_epochs": self._stops[job.rung]}}
        return {
            **shared,
            # The same for every method: reproduction 3 of one method and of another start from the same weights.
            "seed": seed_of(str(benchmark.seed), int(job.role == "reproduction"), job.number, job.fold or 0),
        }

    def _resolved(self, name: str, values: tuple[tuple[str, Value], ...]) -> dict[str, Any]:
        """What the trainings of one trial share, and those of all reproductions."""
        method, training = with_parameters(self.recipe.method(name), dict(values)), self.recipe.benchmark.training
        parts = resolve_method(method, f"method {name!r}")
        identities = {part: resolved.identity() if resolved else None for part, resolved in parts.items()}
        sampler = identities.pop("sampler")
        table = identity_of(training) | _own_batches(method, training)
        table["loss_optimizer"] |= method.loss_optimizer.model_dump(exclude_none=True)
        batches = {"sampler": sampler} if sampler else {"samples_per_class": method.samples_per_class}
        return {"training": table, **identities, **batches}

    def _stopped(self, job: Job, rung: int, outcomes: Mapping[str, Outcome]) -> Outcome | None:
        """What the part before left, if the training ended there or its trial is not among the survivors."""
        before = outcomes[job_key(job.method, "trial", job.number, job.fold, rung - 1)]
        if before.score is None or before.epochs < self._stops[rung - 1]:
            return before
        stopping, going = self.recipe.benchmark.search.stopping, list(self._generation(job.number))
        assert stopping is not None
        for earlier in range(rung):
            scores = {number: self._objective(job.method, number, outcomes, earlier) for number in going}
            going = survivors(scores, stopping.factor)
        return None if job.number in going else before

    def _trial_values(self, name: str, number: int, outcomes: Mapping[str, Outcome]) -> dict[str, Value]:
        first = number - number % self.recipe.benchmark.search.generation
        return self._proposal(name, number, tuple(self._objective(name, earlier, outcomes) for earlier in range(first)))

    def _proposal(self, name: str, number: int, objectives: tuple[float, ...]) -> dict[str, Value]:
        """The values of a trial, given the objectives of all trials of earlier generations."""
        # A proposal is a pure function of this key: remembering it only saves asking the sampler again.
        key = (name, number, objectives)
        if key not in self._proposed:
            search, method = self.recipe.benchmark.search, self.recipe.method(name)
            study = digest({"seed": self.recipe.benchmark.seed, "method": identity_of(method)})
            seen = [objectives[: earlier - earlier % search.generation] for earlier in range(len(objectives))]
            values = [self._proposal(name, earlier, known) for earlier, known in enumerate(seen)]
            history = [Trial(n, v, o) for n, (v, o) in enumerate(zip(values, objectives, strict=True))]
            self._proposed[key] = propose(space_of(method), search.sampler, study, number, search.generation, history)
        return self._proposed[key]

    def _objective(self, name: str, number: int, outcomes: Mapping[str, Outcome], rung: int | None = None) -> float:
        """Mean over the folds of the best validation MAP@R; a training that failed scores 0, as in the original.

        After all parts of the trial, or after one of them.
        """
        rung = len(self._stops) if rung is None and self._stops else rung
        scores = [outcomes[key].score or 0.0 for key in self._keys(name, number, rung)]
        return sum(scores) / len(scores)

    def _trial_keys(self, name: str, number: int, rung: int | None) -> tuple[str, ...]:
        return tuple(job_key(name, "trial", number, fold, rung) for fold in range(self.recipe.benchmark.folds))

    def best_values(self, name: str, outcomes: Mapping[str, Outcome]) -> dict[str, Value] | None:
        """The parameters of the best trial ({} where nothing is searched), None if no trial succeeded."""
        if not self.recipe.method(name).search:
            return {}
        numbers = range(self.recipe.benchmark.search.trials)
        best = max(numbers, key=lambda number: (self._objective(name, number, outcomes), -number))
        if self._objective(name, best, outcomes) == 0.0:
            return None
        return self._trial_values(name, best, outcomes)


def _own_batches(method: Method, training: Training) -> dict[str, int]:
    """What a method's own batch size changes: an epoch shows as many images as that of the others, rounded up."""
    if method.batch_size is None:
        return {}
    images = training.batch_size * training.iterations_per_epoch
    return {"batch_size": method.batch_size, "iterations_per_epoch": -(-images // method.batch_size)}
