"""A method: a loss, perhaps a miner, the composition of its batches and what is searched."""

from typing import Annotated, Any, TypeAlias

from pydantic import Field, model_validator

from mlbench.api.space import Categorical, Float, Int
from mlbench.spec.base import Table, added, result, runtime
from mlbench.spec.component import Component

Dimension: TypeAlias = Annotated[Float | Int | Categorical, Field(discriminator="type")]


class LossOptimizer(Table):
    """What a method changes of the benchmark's optimiser of loss parameters."""

    lr: float | None = result(None, gt=0)
    weight_decay: float | None = result(None, ge=0)


class Method(Table):
    """One row of the leaderboard.

    ``search`` maps dotted paths into the method (``loss.margin``, ``miner.epsilon``, ``loss_optimizer.lr``) to
    dimensions; a file may say ``"declared"`` for those that its components declare. A method without a loss is the
    untrained baseline: nothing is trained, nothing is searched. Without a sampler, batches have ``samples_per_class``
    samples of each class. ``batch_size`` is for a method that cannot do the benchmark's; its epochs then show as many
    images in more batches.
    """

    name: str = runtime(min_length=1, pattern=r"^[\w+./ -]+$")
    summary: str = runtime("")
    loss: Component | None = result(None)
    miner: Component | None = result(None)
    sampler: Component | None = added(None)
    samples_per_class: int = result(4, ge=1)
    batch_size: int | None = added(None, ge=2)
    loss_optimizer: LossOptimizer = result(LossOptimizer())
    search: dict[str, Dimension] = result({})

    @model_validator(mode="before")
    @classmethod
    def _type_dimensions(cls, value: Any) -> Any:
        """``{ low = 0.0, high = 1.0 }`` says its type by its bounds; ``{ choices = [...] }`` by its key."""
        if isinstance(value, dict) and isinstance(value.get("search"), str):
            raise ValueError(f'search: expected a table or "declared", got {value["search"]!r}')
        if isinstance(value, dict) and isinstance(value.get("search"), dict):
            return value | {"search": {path: _with_type(dimension) for path, dimension in value["search"].items()}}
        return value

    @model_validator(mode="after")
    def _baseline_has_nothing_to_search(self) -> "Method":
        if self.loss is None and (self.miner is not None or self.sampler is not None or self.search):
            raise ValueError(f"method {self.name!r} has no loss, so it can have no miner, no sampler and no search")
        return self

    @model_validator(mode="after")
    def _one_way_to_compose_batches(self) -> "Method":
        default = type(self).model_fields["samples_per_class"].default
        if self.sampler is not None and self.samples_per_class != default:
            raise ValueError(f"method {self.name!r}: sampler and samples_per_class exclude each other; remove one")
        return self


def _with_type(dimension: Any) -> Any:
    if not isinstance(dimension, dict) or "type" in dimension:
        return dimension
    if "choices" in dimension:
        return {"type": "categorical"} | dimension
    bounds = (dimension.get("low"), dimension.get("high"))
    whole = all(isinstance(bound, int) and not isinstance(bound, bool) for bound in bounds)
    return {"type": "int" if whole else "float"} | dimension
