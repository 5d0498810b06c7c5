"""A recipe: a benchmark whose components are resolved and whose dataset has been seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mlbench.api.errors import ConfigError
from mlbench.api.metric import GalleryMetric
from mlbench.api.space import Categorical, Dimension, Int, Space
from mlbench.api.splits import ClassSplits, ItemSplits
from mlbench.registry import Resolved, entries, find, info_of, load, resolve
from mlbench.registry.schema import Parameter, check_name, parameters
from mlbench.spec import Benchmark, Component, Method, Transforms, identity_of
from mlbench.spec.declared import PARTS

#: What identities leave out: records that are older than other splits have none.
_USUAL_SPLIT = {"id": "mlbench/mlrc", "version": 1, "arguments": {}}
#: What of a method can be searched.
_SEARCHABLE = (*PARTS, "loss_optimizer", "samples_per_class")


@dataclass(frozen=True)
class DatasetFacts:
    """What a protocol may know of a dataset: enough to plan, nothing of its content.

    ``superclasses`` are those of its classes, where it has some; ``origin`` is what its items were made of, in words.
    """

    id: str
    version: int
    content_hash: str
    classes: int
    items: int
    source: str | None = None
    vectors: bool = False
    superclasses: tuple[int, ...] | None = None
    skipped: tuple[str, ...] = ()
    origin: str = ""

    def identity(self) -> dict[str, Any]:
        """What enters the identity of a run; also the hash of un-packaged code, and the damaged items left out."""
        known: dict[str, Any] = {"id": self.id, "version": self.version, "content": self.content_hash}
        known |= {"source": self.source} if self.source else {}
        return known | ({"skipped": list(self.skipped)} if self.skipped else {})


@dataclass(frozen=True)
class Recipe:
    """A benchmark, its dataset's facts and its splits."""

    benchmark: Benchmark
    dataset: DatasetFacts
    splits: ClassSplits

    def split(self) -> dict[str, Any]:
        """Identity of the rule of the splits; empty for the usual one."""
        identity = resolve("splits", as_table(self.benchmark.split), "split").identity()
        return {} if identity == _USUAL_SPLIT else identity

    def trunk(self) -> Resolved:
        """The trunk.

        Raises:
            ConfigError: If it is for images and the dataset's items are vectors, or the other way round.
        """
        trunk = resolve("models", as_table(self.benchmark.model.trunk), "model.trunk")
        if ("vectors" in info_of(trunk.component).needs) != self.dataset.vectors:
            takes, items = ("images", "vectors") if self.dataset.vectors else ("vectors", "images")
            hint = "; use the trunk mlp" if self.dataset.vectors else "; `mlbench ls models` lists others"
            raise ConfigError(
                f"model.trunk: {trunk.entry.id} takes {takes}, the items of {self.dataset.id} are {items}{hint}"
            )
        return trunk

    def check_transforms(self) -> None:
        """Refuse transforms that would do nothing.

        Raises:
            ConfigError: If there are any and the dataset's items are vectors.
        """
        if self.dataset.vectors and self.benchmark.transforms != Transforms():
            raise ConfigError(
                f"transforms: the items of {self.dataset.id} are vectors, which nothing transforms; remove the table, "
                "or extend a benchmark that has none (large-batch)"
            )

    def metrics(self) -> list[Resolved]:
        """The metrics that are reported besides the harness's own.

        Raises:
            ConfigError: If one is unknown, or cannot search a gallery where the test has one.
        """
        metrics = self.benchmark.evaluation.metrics
        found = [resolve("metrics", as_table(metric), f"evaluation.metrics[{i}]") for i, metric in enumerate(metrics)]
        for metric in found:
            if isinstance(self.splits, ItemSplits) and not issubclass(metric.component, GalleryMetric):
                raise ConfigError(
                    f"{metric.where}: {metric.entry.id} cannot search a gallery (it has no method `search`), as "
                    f"the test of the split {self.benchmark.split.id!r} does; remove it, or choose another split"
                )
        return found

    def evaluation(self) -> dict[str, Any]:
        """Identity of everything that is reported."""
        further = [metric.identity() for metric in self.metrics()]
        return identity_of(self.benchmark.evaluation) | ({"metrics": further} if further else {})

    def method(self, name: str) -> Method:
        """The method of that name."""
        return next(method for method in self.benchmark.methods if method.name == name)

    def identity(self) -> dict[str, Any]:
        """Everything that makes two rows comparable: the benchmark without its methods, and the dataset's content."""
        kept = identity_of(self.benchmark)
        del kept["methods"]
        kept.pop("split", None)
        trunk = self.trunk().identity()
        split = self.split()
        return kept | {
            **({"split": split} if split else {}),
            "dataset": self.dataset.identity(),
            "model": kept["model"] | {"trunk": trunk},
            "evaluation": self.evaluation(),
        }


def as_table(component: Component) -> dict[str, Any]:
    """A component of a benchmark file as the registry takes it."""
    return {"id": component.id, **component.arguments}


def dataset_table(benchmark: Benchmark) -> dict[str, Any]:
    """The dataset as the registry takes it, with its entry of ``paths`` as ``path`` unless it says one itself.

    Raises:
        ConfigError: If an entry of ``paths`` is of no dataset, or of this one and it takes no path.
    """
    table, entry = as_table(benchmark.dataset), find("datasets", benchmark.dataset.id, "dataset")
    known = {other.name for other in entries("datasets")} | {entry.name}
    for name in benchmark.paths:
        if name not in known:
            raise ConfigError(
                f"paths.{name}: no dataset has this id; the benchmark's is {entry.id}, paths.{entry.name}"
            )
    if entry.name not in benchmark.paths or "path" in table:
        return table
    if "path" not in parameters(load(entry)):
        raise ConfigError(f"paths.{entry.name}: {entry.id} lies in no folder and takes no path; remove it")
    return table | {"path": benchmark.paths[entry.name]}


def with_parameters(method: Method, values: Mapping[str, Any]) -> Method:
    """The method with searched values in place.

    >>> method = Method(name="T", loss={"id": "triplet-margin"})
    >>> with_parameters(method, {"loss.margin": 0.1}).loss.arguments
    {'margin': 0.1}

    Raises:
        ConfigError: If a path leads nowhere in the method, or a value does not fit there.
    """
    tables = method.model_dump(mode="json")
    for path, value in values.items():
        *parents, last = path.split(".")
        _table_at(tables, parents, path)[last] = value
    try:
        return Method.model_validate(tables)
    except ValidationError as error:
        item = error.errors()[0]
        raise ConfigError(f"search.{'.'.join(map(str, item['loc']))}: {item['msg']}, got {item['input']!r}") from None


def _table_at(table: dict[str, Any], parents: list[str], path: str) -> dict[str, Any]:
    if path.partition(".")[0] not in _SEARCHABLE:
        raise ConfigError(f"search.{path}: paths start with {', '.join(_SEARCHABLE)}")
    for parent in parents:
        inner = table.get(parent)
        if isinstance(inner, str):  # a component written as a bare id takes arguments too
            inner = table[parent] = {"id": inner}
        if not isinstance(inner, dict):
            raise ConfigError(f"search.{path}: the method has no table {parent!r} to search in")
        table = inner
    return table


def resolve_method(method: Method, where: str) -> dict[str, Resolved | None]:
    """The method's loss, miner and sampler, resolved and checked."""
    parts: dict[str, Resolved | None] = {}
    for part, kind in PARTS.items():
        component = getattr(method, part)
        parts[part] = resolve(kind, as_table(component), f"{where}.{part}") if component else None
    return parts


def check_method(method: Method, where: str) -> None:
    """Refuse a method that could only fail later: components, arguments, both ends and all choices of its search.

    Raises:
        ConfigError: Naming the place.
        PluginError: If a component cannot be imported.
    """
    roots = resolve_method(method, where)
    for path in method.search:
        head, _, rest = path.partition(".")
        target = roots.get(head)
        if target is not None and "." not in rest:
            known = parameters(target.component)
            check_name(known, rest, f"{where}.search.{head}")
            _check_whole(known[rest], method.search[path], f"{where}.search.{path}")
    # As many even steps from one end to the other as the longest list of choices has: each is tried.
    steps = max((len(d.choices) for d in method.search.values() if isinstance(d, Categorical)), default=2)
    for u in (step / max(steps - 1, 1) for step in range(max(steps, 2))):
        try:
            filled = with_parameters(method, {path: d.at(u) for path, d in method.search.items()})
        except ConfigError as error:
            raise ConfigError(f"{where}.{error}") from None
        resolve_method(filled, where)


def _check_whole(parameter: Parameter, dimension: Dimension, place: str) -> None:
    """Refuse bounds that were written as whole numbers where an argument is real: nothing between would be tried."""
    if isinstance(dimension, Int) and (isinstance(parameter.default, float) or parameter.annotation is float):
        raise ConfigError(
            f"{place}: {parameter.name} is a real number, but whole bounds search whole numbers; write low = "
            f"{float(dimension.low)}, high = {float(dimension.high)}, or choices"
        )


def space_of(method: Method) -> Space:
    """The method's search space."""
    return dict(method.search)
