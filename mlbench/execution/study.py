"""A study: a benchmark bound to its dataset and its store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from mlbench.api.dataset import Counts, Dataset
from mlbench.api.errors import DataError, MissingWeightsError, MlbenchError, UnknownNameError
from mlbench.data.damage import Without
from mlbench.data.splits import mlrc_splits, split
from mlbench.execution.preparation import prepare_images
from mlbench.execution.watch import Watch
from mlbench.protocols import DatasetFacts, Job, Outcome, Plan, Protocol, Recipe
from mlbench.protocols.recipe import as_table, dataset_table
from mlbench.registry import Resolved, blamed, check_requirements, component_identity, find, load, resolve, used_plugins
from mlbench.search import proposer
from mlbench.spec import Benchmark, digest, identity_of
from mlbench.store import Store

_Look: TypeAlias = Callable[[Benchmark], tuple[Dataset | None, Recipe]]


@dataclass(frozen=True)
class Study:
    """Everything known before the first job runs; ``dataset`` is None where it is not at hand."""

    recipe: Recipe
    protocol: Protocol
    plan: Plan
    store: Store
    dataset: Dataset | None
    protocol_identity: Mapping[str, Any]

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark."""
        return self.recipe.benchmark

    def request(self, job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, Any] | Outcome | None:
        """See `Protocol.request`; a protocol of un-packaged code is named with its source's hash."""
        request = self.protocol.request(job, outcomes)
        if not isinstance(request, dict) or "source" not in self.protocol_identity:
            return request
        return request | {"protocol": {**request.get("protocol", {}), **self.protocol_identity}}

    def claim(self) -> None:
        """Bind the store to this study.

        Raises:
            StoreError: If it belongs to another, or another version of the sampler proposed its trials.
        """
        methods = {method.name: identity_of(method) for method in self.benchmark.methods}
        facts = self.recipe.dataset
        about: dict[str, Any] = {
            "name": self.benchmark.name,
            "digest": digest(self.recipe.identity()),
            "dataset": {"id": facts.id, "classes": facts.classes, "items": facts.items}
            | ({"vectors": True} if facts.vectors else {})
            | ({"origin": facts.origin} if facts.origin else {}),
        }
        search = self.benchmark.search
        by = proposer(search.sampler, search.trials, search.generation)
        proposed_by = {method.name: by for method in self.benchmark.methods if method.search and by}
        self.store.claim(self.recipe.identity(), methods, about, proposed_by)


def open_study(benchmark: Benchmark, store: str | Path | None = None, watch: Watch | None = None) -> Study:
    """Resolve every component, look at the dataset, make the plan. No record is written.

    If the benchmark skips damaged images, these must be known now: images that were not prepared before are prepared.

    Args:
        benchmark: The benchmark.
        store: Folder of the store; by default ``mlbench-runs/<name>-<digest>``.
        watch: Is told how far preparing is.

    Raises:
        ConfigError: If a component, argument or search path is wrong. Where a component is not installed and the store
            has records of it, the message says which package they used.
        PluginError: If a required plugin is missing, or one that is selected cannot be used.
        DataError: If the dataset is missing, damaged, too small or unfit for the split.
    """
    check_requirements(benchmark.require)
    return _study(benchmark, partial(_seen, watch or Watch()), Path(store) if store else None)


def foreseen(benchmark: Benchmark, store: str | Path | None = None) -> tuple[Study, list[MlbenchError]]:
    """The study, and what keeps it from running.

    Where the dataset is not at hand the plan is that of the complete dataset, and where the trunk's weights are not, it
    starts from random ones: jobs and their cost are the same, requests are not.

    Raises:
        MlbenchError: As `open_study`; also if nobody knows how many classes an absent dataset has.
    """
    check_requirements(benchmark.require)
    missing: list[MlbenchError] = []
    look: _Look = partial(_seen, Watch())
    while True:
        try:
            return _study(benchmark, look, Path(store) if store else None), missing
        except DataError as error:
            expected = resolve("datasets", dataset_table(benchmark), "dataset").component.expected
            if expected is None or any(isinstance(one, DataError) for one in missing):
                raise
            look = partial(_expected, expected)
            missing.append(error)
        except MissingWeightsError as error:
            benchmark = _from_random_weights(benchmark)
            missing.append(error)


def _from_random_weights(benchmark: Benchmark) -> Benchmark:
    trunk = benchmark.model.trunk.model_copy(update={"weights": "none"})
    return benchmark.model_copy(update={"model": benchmark.model.model_copy(update={"trunk": trunk})})


def _expected(expected: Counts, benchmark: Benchmark) -> tuple[None, Recipe]:
    entry = find("datasets", benchmark.dataset.id, "dataset")
    facts = DatasetFacts(entry.id, 0, "", expected.classes, expected.items)
    # Only the sizes of its parts count for a plan, which other splits change by little.
    return None, Recipe(benchmark, facts, mlrc_splits(expected.classes, benchmark.folds))


def _study(benchmark: Benchmark, look: _Look, folder: Path | None) -> Study:
    try:
        dataset, recipe = look(benchmark)
        folder = folder or default_store(recipe)
        entry = find("protocols", benchmark.protocol, "protocol")
        with blamed(entry, "protocol", "cannot plan"):
            component = load(entry)
            protocol: Protocol = component(recipe)
            plan = protocol.plan()
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}{_recorded(error.name, folder)}", error.name) from error
    return Study(recipe, protocol, plan, Store(folder), dataset, component_identity(entry, component))


def default_store(recipe: Recipe) -> Path:
    """Where a benchmark's records go when nobody says: one folder for each recipe, so plans never mix."""
    return Path("mlbench-runs") / f"{recipe.benchmark.name}-{digest(recipe.identity())[:8]}"


def _seen(watch: Watch, benchmark: Benchmark) -> tuple[Dataset, Recipe]:
    """The dataset, without what cannot be decoded if the benchmark skips that, and the recipe for it."""
    scheme = resolve("splits", as_table(benchmark.split), "split")
    resolved = resolve("datasets", dataset_table(benchmark), "dataset")
    dataset: Dataset = resolved.build()
    if benchmark.damaged == "skip":
        with blamed(resolved.entry, "dataset", "cannot be read"):
            dataset = prepare_images(dataset, benchmark, watch.preparing)
    facts = _facts(resolved, dataset)
    return dataset, Recipe(benchmark, facts, split(scheme, dataset.items, benchmark.folds))


def _facts(resolved: Resolved, dataset: Dataset) -> DatasetFacts:
    with blamed(resolved.entry, "dataset", "cannot be read"):
        items = dataset.items
        known = component_identity(resolved.entry, resolved.component)
        return DatasetFacts(
            id=known["id"],
            version=known["version"],
            content_hash=dataset.content_hash,
            classes=len(items.class_names),
            items=len(items),
            source=known.get("source"),
            vectors=dataset.vector_size is not None,
            superclasses=None if items.superclasses is None else tuple(items.superclasses.tolist()),
            skipped=dataset.skipped if isinstance(dataset, Without) else (),
            origin=dataset.origin,
        )


def _recorded(name: str, folder: Path | None) -> str:
    """Which package the store's records used under a name that nothing has here."""
    if not name or folder is None or not (folder / "store.json").is_file():
        return ""
    rows = [row for record in Store(folder).records() for row in record.provenance]
    used = used_plugins([row for row in rows if name in (row["id"], row["id"].partition("/")[2])])
    return f"; the records in {folder} used {' and '.join(used)}" if used else ""
