"""A study: a benchmark bound to its dataset and its store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbench.api.dataset import Dataset
from mlbench.protocols import DatasetFacts, Plan, Protocol, Recipe
from mlbench.protocols.recipe import as_table
from mlbench.registry import find, info_of, load, resolve
from mlbench.spec import Benchmark, digest, identity_of
from mlbench.store import Store


@dataclass(frozen=True)
class Study:
    """Everything known before the first job runs."""

    recipe: Recipe
    protocol: Protocol
    plan: Plan
    store: Store

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark."""
        return self.recipe.benchmark

    def claim(self) -> None:
        """Bind the store to this study.

        Raises:
            StoreError: If it belongs to another.
        """
        methods = {method.name: identity_of(method) for method in self.benchmark.methods}
        facts = self.recipe.dataset
        about: dict[str, Any] = {
            "name": self.benchmark.name,
            "digest": digest(self.recipe.identity()),
            "dataset": {"id": facts.id, "classes": facts.classes, "items": facts.items},
        }
        self.store.claim(self.recipe.identity(), methods, about)


def open_study(benchmark: Benchmark, store: str | Path | None = None) -> Study:
    """Resolve every component, look at the dataset, make the plan. Nothing is written.

    Args:
        benchmark: The benchmark.
        store: Folder of the store; by default ``mlbench-runs/<name>-<digest>``.

    Raises:
        ConfigError: If a component, argument or search path is wrong.
        DataError: If the dataset is missing, damaged or too small.
    """
    dataset = resolve("datasets", as_table(benchmark.dataset), "dataset")
    recipe = Recipe(benchmark, _facts(dataset.entry.id, dataset.build()))
    protocol: Protocol = load(find("protocols", benchmark.protocol, "protocol"))(recipe)
    folder = Path(store) if store else default_store(recipe)
    return Study(recipe, protocol, protocol.plan(), Store(folder))


def default_store(recipe: Recipe) -> Path:
    """Where a benchmark's records go when nobody says: one folder for each recipe, so plans never mix."""
    return Path("mlbench-runs") / f"{recipe.benchmark.name}-{digest(recipe.identity())[:8]}"


def _facts(identifier: str, dataset: Dataset) -> DatasetFacts:
    items = dataset.items
    version = info_of(type(dataset)).version
    return DatasetFacts(identifier, version, dataset.content_hash, len(items.class_names), len(items))
