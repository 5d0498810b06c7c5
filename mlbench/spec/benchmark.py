"""The benchmark file: everything ``mlbench run`` needs to know."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mlbench.registry.requirements import parse_requirement
from mlbench.spec.base import Table, added, result, runtime
from mlbench.spec.component import Component
from mlbench.spec.method import Method
from mlbench.spec.runtime import Runtime
from mlbench.spec.training import Training
from mlbench.spec.transforms import Transforms


class Model(Table):
    """A trunk and the linear embedder on top of it.

    ``freeze_batchnorm`` keeps the running statistics of the trunk's batch norms; ``frozen_trunk`` trains the embedder
    alone.
    """

    trunk: Component = result()
    embedding_size: int = result(128, ge=1)
    freeze_batchnorm: bool = result(True)
    frozen_trunk: bool = added(False)


class Stopping(Table):
    """Early stopping of hopeless trials by successive halving.

    All trials of a generation train up to the first of ``epochs``; the best ``1 / factor`` of them go on up to the
    next one, and so on. ``factor = 2`` stops those below the median.
    """

    epochs: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = result()
    factor: int = result(2, ge=2)

    @field_validator("epochs")
    @classmethod
    def _epochs_grow(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if sorted(set(value)) != list(value):
            raise ValueError(f"must grow, got {list(value)}")
        return value


class Search(Table):
    """Hyperparameter search: the same number of trials for every method that has something to search.

    Trials are asked for in generations of ``generation`` trials; the next generation sees the results of all earlier
    ones.
    """

    trials: int = result(50, ge=1)
    sampler: Literal["sobol", "tpe", "gp"] = result("gp")
    generation: int = result(1, ge=1)
    stopping: Stopping | None = added(None)


class Evaluation(Table):
    """What is reported besides MAP@R and R-Precision: Recall@K, and further metrics of the tests."""

    recall_at: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = result((1, 2, 4, 8))
    metrics: Annotated[tuple[Component, ...], Field(strict=False)] = added(())

    @field_validator("recall_at")
    @classmethod
    def _ranks_once_each(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 1 or len(set(value)) < len(value):
            raise ValueError(f"must be different numbers from 1 on, got {list(value)}")
        return value


class Benchmark(Table):
    """A benchmark: a protocol on a dataset with a model, for a list of methods.

    ``require`` names the plugins it needs with their versions (``"acme-losses>=1.2"``); they are looked for before
    anything runs. What of them is used enters the identity of the runs by itself. ``paths`` says where datasets lie on
    this machine, by bare id: what a dataset takes as ``path`` unless it is given one.

    ``damaged`` says what to do about images that cannot be decoded: ``stop``, or ``skip`` them. What is skipped enters
    the identity of the runs through the dataset's content hash; where nothing is, both are the same benchmark.
    """

    name: str = runtime(min_length=1, pattern=r"^[\w.-]+$")
    summary: str = runtime("")
    require: Annotated[tuple[str, ...], Field(strict=False)] = runtime(())
    protocol: str = result("reality-check")
    seed: int = result(0, ge=0)
    folds: int = result(4, ge=2)
    reproductions: int = result(10, ge=1)
    dataset: Component = result()
    split: Component = added(Component(id="mlrc"))
    paths: dict[str, str] = runtime({})
    damaged: Literal["stop", "skip"] = runtime("stop")
    model: Model = result()
    transforms: Transforms = result(Transforms())
    training: Training = result(Training())
    search: Search = result(Search())
    evaluation: Evaluation = result(Evaluation())
    methods: Annotated[tuple[Method, ...], Field(strict=False, min_length=1)] = result()
    runtime: Runtime = runtime(Runtime())

    @field_validator("require")
    @classmethod
    def _require_can_be_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            parse_requirement(text)
        return value

    @model_validator(mode="after")
    def _ranks_have_gpus_of_their_own(self) -> "Benchmark":
        if self.training.ranks > 1 and (len(self.runtime.devices) > 1 or self.runtime.slots > 1):
            raise ValueError("runtime.device: a run of several ranks takes the GPUs from one device on; name that one")
        return self

    @model_validator(mode="after")
    def _what_a_device_cuts(self) -> "Benchmark":
        if self.runtime.images == "device" and (self.transforms.crop is None or self.transforms.affine is not None):
            raise ValueError(
                'runtime.images: "device" is for images that are cropped at random (transforms.crop) and not bent '
                '(transforms.affine), where it gives the processor\'s pixels; choose "mapped"'
            )
        return self

    @model_validator(mode="after")
    def _stopping_at_validations(self) -> "Benchmark":
        every, last = self.training.evaluate_every, self.training.max_epochs
        stopping, width = self.search.stopping, min(self.search.generation, self.search.trials)
        if stopping and stopping.factor > width:
            raise ValueError(
                f"search.stopping.factor: {stopping.factor} of a generation's trials are compared, and it has {width}; "
                "raise search.generation"
            )
        for epoch in stopping.epochs if stopping else ():
            if epoch % every or not 0 < epoch < last:
                raise ValueError(
                    f"search.stopping.epochs: nothing can be decided at epoch {epoch}; allowed are multiples of "
                    f"training.evaluate_every ({every}) below training.max_epochs ({last})"
                )
        return self

    @model_validator(mode="after")
    def _distinct_method_names(self) -> "Benchmark":
        names = [method.name for method in self.methods]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"methods: the name {twice[0]!r} occurs twice; give one of them another `name`")
        return self
