"""The component under test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mlbench.data.batches import batches_of
from mlbench.registry import Entry, Resolved, configure, find, info_of, load, parameters
from mlbench.registry.schema import check_name
from mlbench.testing.batch import CLASSES, SIZE, Batch
from mlbench.testing.known import declaration_of
from mlbench.testing.requirement import require
from mlbench.testing.surroundings import seeded

#: What the harness gives a sampler, where its constructor wants it.
_SAMPLER = {"batch_size": 8, "samples_per_class": 2}


@dataclass(frozen=True)
class Subject:
    """A component with its arguments: builds fresh objects and uses them as the harness does.

    Attributes:
        kind: ``losses``, ``miners``, ...
        component: An id, or a class that need not be registered.
        arguments: Of its constructor, as in a benchmark file.
    """

    kind: str
    component: str | type[Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def resolved(self) -> Resolved:
        """The class and its checked arguments.

        Raises:
            ConfigError: If there is no such component, it refuses its arguments, or it declares a search space of
                arguments that it does not have.
            PluginError: If it cannot be imported.
        """
        entry, component = self._found
        where = f"{self.kind}/{self.name}"
        resolved = configure(entry, component, self.table, where)
        for name, dimension in info_of(component).space.items():
            check_name(parameters(component), name, f"{where}: info.space")
            for u in (0.0, 1.0):
                configure(entry, component, {**self.table, name: dimension.at(u)}, f"{where}: info.space")
        return resolved

    @cached_property
    def table(self) -> dict[str, Any]:
        """The arguments with all that is filled in: what the harness gives a sampler, and the component's example."""
        component = self._found[1]
        return {**_filled_in(self.kind, component), **declaration_of(component).example, **self.arguments}

    @cached_property
    def _found(self) -> tuple[Entry, type[Any]]:
        if isinstance(self.component, str):
            entry = find(self.kind, self.component, f"{self.kind}/{self.component}")
            return entry, load(entry)
        return _unregistered(self.kind, self.component), self.component

    @property
    def name(self) -> str:
        """The id, or the name of the class."""
        return self.component if isinstance(self.component, str) else self.component.__name__

    def build(self, seed: int = 0) -> Any:
        """A new object; the same ``seed`` gives the same parameters."""
        with seeded(seed):
            return self.resolved.build(num_classes=CLASSES, embedding_size=SIZE)

    @cached_property
    def shared(self) -> Any:
        """One object for all checks that only read it, because some are costly to build."""
        return self.build()

    @property
    def two_views(self) -> bool:
        """Whether it asks for a second view of every sample."""
        return "second_view" in info_of(self.resolved.component).needs

    def use(self, built: Any, batch: Batch) -> Any:
        """Use an object on a batch, with its random choices seeded: once, or a sampler for twenty batches."""
        with seeded(1):
            if self.kind == "samplers":
                return [indices_of(each) for each in islice(stream_of(built, batch.labels.numpy(), 3), 20)]
            return built(batch.embeddings, batch.labels, **self.needed(batch))

    def needed(self, batch: Batch) -> dict[str, Tensor]:
        """What the harness gives it beside embeddings and labels, because it says that it needs it."""
        views = {"ref_emb": batch.second, "ref_labels": batch.labels} if self.two_views else {}
        return views | ({"groups": batch.labels} if "groups" in info_of(self.resolved.component).needs else {})

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        """Call a loss, and insist on a finite scalar."""
        return finite_scalar(self.use(module, batch))


def indices_of(batch: Any) -> Any:
    """The positions in a batch: the batch itself, or its ``indices`` where it comes with ``groups``."""
    return getattr(batch, "indices", batch)


def stream_of(sampler: Any, labels: npt.NDArray[np.int64], seed: int) -> Any:
    """A sampler's stream; every third class is of the same superclass."""
    _, classes = np.unique(labels, return_inverse=True)
    return batches_of(sampler, labels, seed, classes % 3)


def finite_scalar(value: Any) -> Tensor:
    """``value``, if it is a finite scalar tensor."""
    require(isinstance(value, Tensor), f"returned {type(value).__name__}, not a tensor")
    require(value.numel() == 1, f"returned a tensor of shape {tuple(value.shape)}, not a scalar")
    require(torch.isfinite(value).all(), f"the value is {value.item()}")
    scalar: Tensor = value.reshape(())
    return scalar


def _filled_in(kind: str, component: type[Any]) -> dict[str, int]:
    known = parameters(component) if kind == "samplers" else {}
    return {name: value for name, value in _SAMPLER.items() if name in known}


def _unregistered(kind: str, component: type[Any]) -> Entry:
    point = EntryPoint(component.__name__, f"{component.__module__}:{component.__qualname__}", f"mlbench.{kind}")
    return Entry(kind, component.__name__, "not installed", "0", point)
