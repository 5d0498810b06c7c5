"""Does one job after another: data in, record out."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from mlbench_kernels import used_backends
from safetensors.torch import load, save

from mlbench.api.dataset import Dataset
from mlbench.api.errors import ConfigError, DataError, PluginError, StoreError, TrainingStopped
from mlbench.api.metric import Metric
from mlbench.api.splits import ClassSplits, Part
from mlbench.data.damage import Without
from mlbench.data.images import ImageStore, ImageView
from mlbench.data.splits import split
from mlbench.data.transforms import EvalTransform
from mlbench.evaluation import Retrieval, concatenate, measure
from mlbench.execution.environment import environment
from mlbench.registry import Resolved, culprits, provenance_of, resolve, source_of, sources_in, use_file
from mlbench.spec import Transforms, digest
from mlbench.store import Record, Store
from mlbench.training import Meter, embed, train
from mlbench.training.loop import Setup
from mlbench.training.setup import from_identity, model_of, setup_of

Tell = Callable[[Mapping[str, Any]], None]
_MODEL = "model.safetensors"


@dataclass(frozen=True)
class Context:
    """What a worker is told once: where things are and where to compute. Nothing here changes a result.

    ``dataset`` and ``trunk`` are tables of the benchmark file, with the paths that requests do not have.
    """

    store: str
    dataset: Mapping[str, Any]
    device: str
    threads: int = 1
    plugins: Sequence[str] = ()
    trunk: Mapping[str, Any] | None = None
    skipped: Sequence[str] = ()
    loaders: int = 0


class Worker:
    """Holds the dataset and runs jobs on it.

    Raises:
        ConfigError: If there is no such device here.
        DataError: If the dataset is missing or damaged.
    """

    def __init__(self, context: Context) -> None:
        _check_device(context.device)
        for file in context.plugins:
            use_file(file)
        # Tests too: how a sum is split over threads shows in its last bits, and a resumed run may begin with a test.
        torch.set_num_threads(context.threads)
        self.context = context
        self.store = Store(context.store)
        self.dataset: Dataset = resolve("datasets", context.dataset, "dataset").build()
        if context.skipped:
            self.dataset = Without(self.dataset, tuple(context.skipped))
        self._images: tuple[int | None, ImageStore] | None = None
        # A fold's views are used by every trial on that fold.
        self._view = lru_cache(maxsize=16)(lambda resize, part: self._store(resize).view(part.classes, part.items))

    def run(self, request: Mapping[str, Any], tell: Tell) -> Record:
        """Do the job and commit its record; an error inside the job becomes a record too.

        Raises:
            DataError: If the dataset cannot be read or is not the one planned for.
            PluginError: If un-packaged code is no longer what it was when the plan was made.
            StoreError: If the record cannot be written.
        """
        self._check_content(request)
        files: dict[str, bytes] = {}
        meter = Meter()
        outcome: Literal["completed", "diverged", "collapsed", "failed"] = "completed"
        results: dict[str, Any] = {}
        cost: dict[str, float] = {}
        error: str | None = None
        backends: dict[str, str] = {}
        try:
            task = self._test if request["task"] == "test" else self._train
            with used_backends() as backends:
                results, cost = task(request, files, tell)
        except (DataError, StoreError):
            raise
        except TrainingStopped as reason:
            outcome, error = reason.outcome, str(reason)
        except ConfigError as reason:
            outcome, error = "failed", str(reason)
        except Exception as reason:
            tail = "".join(traceback.format_exception(reason)[-4:])
            blame = culprits(reason, request)
            outcome, error = "failed", f"{type(reason).__name__}: {reason}{f' ({blame})' if blame else ''}\n{tail}"
        record = Record(
            run=digest(request),
            request=dict(request),
            outcome=outcome,
            results=results,
            error=error,
            cost={"seconds": meter.seconds, "peak_memory": meter.peak_memory, **cost},
            provenance=provenance_of(request),
            environment=environment() | {f"kernel {name}": backend for name, backend in sorted(backends.items())},
        )
        self.store.commit(record, files)
        return record

    def _train(
        self, request: Mapping[str, Any], files: dict[str, bytes], tell: Tell
    ) -> tuple[dict[str, Any], dict[str, float]]:
        learn, select = self.views(request, self.splits(request).fold_parts(request["job"]["fold"]))
        setup = self.setup(request, learn)
        done = train(setup, learn, select, tell)
        if request["job"]["role"] == "reproduction":
            files[_MODEL] = save({name: tensor.contiguous() for name, tensor in done.state.items()})
        results = {"best": done.best, "curve": done.curve, "images": done.images}
        results |= {"stopped_early": True} if done.stopped_early else {}
        speed = done.images / done.training_seconds if done.training_seconds else 0.0
        return results, {
            "training_seconds": done.training_seconds,
            "waiting_seconds": done.waiting_seconds,
            "images_per_second": speed,
        }

    def _test(
        self, request: Mapping[str, Any], files: dict[str, bytes], tell: Tell
    ) -> tuple[dict[str, Any], dict[str, float]]:
        views = self.views(request, [part for part in self.splits(request).test_parts() if part is not None])
        further = request["evaluation"].get("metrics", [])
        metrics: list[Metric] = [Retrieval(tuple(request["evaluation"]["recall_at"]))]
        metrics += [from_identity("metrics", identity, "evaluation.metrics").build() for identity in further]
        transform = EvalTransform(Transforms.model_validate(request["transforms"]))
        labels = [torch.from_numpy(view.labels) for view in views]
        models = (self._model(request, run, views[0]) for run in request["models"])
        # A row a model: of the queries and, where there is one, of the gallery.
        embeddings = [[embed(model, view, transform, self.context.device) for view in views] for model in models]
        joined = [concatenate(parts) for parts in zip(*embeddings, strict=True)]
        separated = [measure(metrics, parts, labels) for parts in embeddings]
        return {"separated": separated, "concatenated": measure(metrics, joined, labels)}, {}

    def _model(self, request: Mapping[str, Any], run: str, view: ImageView) -> torch.nn.Module:
        file = self.store.folder(run) / _MODEL
        try:
            state = load(file.read_bytes())
        except OSError as error:
            raise StoreError(
                f"{file}: the trained model is gone ({error.strerror}); "
                f"move {file.parent.name} out of runs/ to train it again"
            ) from None
        model = model_of(request, view)
        model.load_state_dict(state)
        return model.to(self.context.device)

    def _trunk(self, request: Mapping[str, Any]) -> Resolved | None:
        """The trunk as the benchmark file names it, if that is still what the plan was made for."""
        if self.context.trunk is None:
            return None
        trunk = resolve("models", self.context.trunk, "model.trunk")
        if trunk.identity() != request["model"]["trunk"]:
            raise DataError(
                f"model.trunk: the weights of {trunk.entry.id} changed since the plan was made; restore them, or give "
                "the command again to plan for the new ones in another store"
            )
        return trunk

    def setup(self, request: Mapping[str, Any], learn: ImageView) -> Setup:
        """The parts of a training that is to learn from a view."""
        return setup_of(request, learn, self.context.device, self._trunk(request), self.context.loaders)

    def views(self, request: Mapping[str, Any], parts: Sequence[Part]) -> list[ImageView]:
        """The images of parts of the dataset, as a request wants them resized."""
        return [self._view(request["transforms"]["resize"], part) for part in parts]

    def splits(self, request: Mapping[str, Any]) -> ClassSplits:
        """The splits that a request was planned with.

        Raises:
            DataError: If the dataset is no longer split like that.
        """
        asked = request["split"]
        scheme = from_identity("splits", asked, "split") if "id" in asked else resolve("splits", "mlrc", "split")
        splits = split(scheme, self.dataset.items, asked["folds"])
        if splits.hash != asked["hash"]:
            raise DataError("the dataset's splits are no longer those of the plan; plan again with another --store")
        return splits

    def _store(self, resize: int | None) -> ImageStore:
        if self._images is None or self._images[0] != resize:
            self._images = (resize, ImageStore.build(self.dataset, resize))
        return self._images[1]

    def _check_content(self, request: Mapping[str, Any]) -> None:
        if self.dataset.content_hash != request["dataset"]["content"]:
            raise DataError(
                f"{request['dataset']['id']}: its content changed since the plan was made; "
                f"restore it, or give the command again to plan for the new content in another store"
            )
        for identifier, source in sources_in(request).items():
            if source_of(identifier.partition(":")[0]) != source:
                raise PluginError(
                    f"{identifier}: its source changed since the plan was made; give the command again to plan for it"
                )


def _check_device(device: str) -> None:
    """Refuse a device before any job is recorded as failed because of it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"runtime.device: {device!r} cannot be used here ({reason}); try --device cpu") from None
