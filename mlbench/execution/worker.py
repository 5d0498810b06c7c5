"""Does one job after another: data in, record out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

import torch
from mlbench_kernels import used_backends
from safetensors.torch import load, save

from mlbench.api.dataset import Dataset
from mlbench.api.errors import ConfigError, DataError, PluginError, StoreError, TrainingStopped, UnknownNameError
from mlbench.api.metric import Metric
from mlbench.api.splits import ClassSplits, Part
from mlbench.data.damage import Without
from mlbench.data.images import ImageStore, ImageView
from mlbench.data.splits import split
from mlbench.data.transforms import EvalTransform
from mlbench.evaluation import Retrieval, concatenate, measure
from mlbench.execution.context import Context
from mlbench.execution.environment import environment
from mlbench.execution.failures import out_of_memory, tail_of
from mlbench.execution.keeping import Keeping
from mlbench.execution.launch import RankDied, devices_of, launched, ranks_of
from mlbench.registry import Resolved, culprits, provenance_of, resolve, source_of, sources_in, use_file
from mlbench.spec import Transforms, canonical_json, digest
from mlbench.store import Record, Store
from mlbench.store.atomic import disk_is_full
from mlbench.store.checkpoints import Checkpoints
from mlbench.store.parts import is_part, whole
from mlbench.training import CannotResume, Interrupted, Keeper, Meter, Trained, embed, train
from mlbench.training.loop import Setup
from mlbench.training.ranks import ALONE, Ranks
from mlbench.training.setup import from_identity, model_of, setup_of

Tell = Callable[[Mapping[str, Any]], None]
_MODEL = "model.safetensors"


@dataclass(frozen=True)
class Hearing:
    """Whom a running job tells what, and whom it asks.

    Attributes:
        tell: Hears of every validation.
        stopping: Whether the job is asked to stop.
        progress: Hears of every step, and first of a function that gives what the run has spent.
        note: Hears what a user may want to know.
        spent: What earlier attempts at the job spent.
    """

    tell: Tell = lambda entry: None
    stopping: Callable[[], bool] = lambda: False
    progress: Callable[..., None] = lambda **progress: None
    note: Callable[[str], None] = lambda text: None
    spent: Mapping[str, float] = field(default_factory=dict)


_NOBODY = Hearing()


class Worker:
    """Holds the dataset and runs jobs on it.

    Raises:
        DataError: If the dataset is missing or damaged.
    """

    def __init__(self, context: Context) -> None:
        for file in context.plugins:
            use_file(file)
        self.context = context
        self.store = Store(context.store)
        self.dataset: Dataset = resolve("datasets", context.dataset, "dataset").build()
        if context.skipped:
            self.dataset = Without(self.dataset, tuple(context.skipped))
        self._images: tuple[int | None, ImageStore] | None = None
        # A fold's views are used by every trial on that fold.
        self._view = lru_cache(maxsize=16)(lambda resize, part: self._store(resize).view(part.classes, part.items))

    def prepare(self, request: Mapping[str, Any]) -> None:
        """Open what the job needs of the dataset, and import its components, for a process that begins as this one is.

        Whatever goes wrong here does so again in the job, which says it properly.
        """
        with suppress(Exception):
            self.views(request, self._parts(request))
            for part, kind in (("loss", "losses"), ("miner", "miners"), ("sampler", "samplers")):
                if request.get(part):
                    from_identity(kind, request[part], part)
            from_identity("models", request["model"]["trunk"], "model.trunk")
            provenance_of(request)
            environment()

    def run(self, request: Mapping[str, Any], hearing: Hearing = _NOBODY) -> Record:
        """Do the job and commit its record; an error inside the job becomes a record too.

        Raises:
            ConfigError: If there is no such device here, or too few for the ranks.
            UnknownNameError: If a component is not installed any more.
            DataError: If the dataset cannot be read or is not the one planned for.
            PluginError: If un-packaged code is no longer what it was when the plan was made.
            StoreError: If the record cannot be written, or the disk is full.
            Interrupted: If the job was asked to stop.
            RuntimeError: If memory ran out.
            RankDied: If one of several processes of the run ended.
        """
        for device in devices_of(self.context.device, ranks_of(request)):
            _check_device(device)
        # Tests too: how a sum is split over threads shows in its last bits, and a resumed run may begin with a test.
        torch.set_num_threads(self.context.threads)
        self._check_content(request)
        files: dict[str, bytes] = {}
        meter = Meter(self.context.device, ranks_of(request) * self.context.gpu_share, hearing.spent)
        hearing.progress(spent=lambda: meter.spent)
        outcome: Literal["completed", "diverged", "collapsed", "failed"] = "completed"
        results: dict[str, Any] = {}
        cost: dict[str, float] = {}
        error: str | None = None
        backends: dict[str, str] = {}
        try:
            with used_backends() as backends:
                if request["task"] == "test":
                    results = self._test(request)
                else:
                    results, cost = self._train(request, files, meter, hearing)
            canonical_json(results)
        except (DataError, StoreError, UnknownNameError, Interrupted, RankDied):
            raise
        except TrainingStopped as reason:
            outcome, error = reason.outcome, str(reason)
        except ConfigError as reason:
            outcome, error = "failed", str(reason)
        except Exception as reason:
            if out_of_memory(reason):
                raise
            if disk_is_full(reason):  # of the log, into which components print
                raise StoreError(f"{reason}; free some space and give the same command again") from reason
            blame = culprits(reason, request)
            said = f"{type(reason).__name__}: {reason}{f' ({blame})' if blame else ''}\n{tail_of(reason)}"
            outcome, error = "failed", said.encode(errors="backslashreplace").decode()
        record = Record(
            run=digest(request),
            request=dict(request),
            outcome=outcome,
            results=results if outcome == "completed" else {},
            error=error,
            reason="error" if outcome == "failed" else None,
            cost=meter.cost | cost,
            provenance=provenance_of(request),
            environment=environment() | {f"kernel {name}": backend for name, backend in sorted(backends.items())},
        )
        self.store.commit(record, files)
        # `mlbench retry` goes on with what failed; what diverged would do so again.
        if outcome != "failed" and not is_part(request):
            self._checkpoints(request).clear()
        return record

    def _train(
        self, request: Mapping[str, Any], files: dict[str, bytes], meter: Meter, hearing: Hearing
    ) -> tuple[dict[str, Any], dict[str, float]]:
        checkpoints = self._checkpoints(request)
        keeping = Keeping(
            checkpoints, self.context.checkpoint_every, meter, hearing.stopping, hearing.progress, hearing.note
        )
        if is_part(request):
            keeping.until = request["training"]["max_epochs"]
        try:
            done = self._trained(request, hearing.tell, keeping)
        except CannotResume as reason:
            hearing.note(f"begins anew: its checkpoint does not fit ({reason})")
            checkpoints.set_aside(f"does not fit: {reason}")
            done = self._trained(request, hearing.tell, keeping)
        if request["job"]["role"] == "reproduction":
            files[_MODEL] = save({name: tensor.contiguous() for name, tensor in done.state.items()})
        return {"best": done.best, "curve": done.curve, "images": done.images}, _speed(done)

    def _trained(self, request: Mapping[str, Any], tell: Tell, keeping: Keeper) -> Trained:
        with launched(asdict(self.context), request) as ranks:
            return self.train(request, ranks, tell, keeping)

    def train(self, request: Mapping[str, Any], ranks: Ranks, tell: Tell, keeping: Keeper) -> Trained:
        """Train as one of the ranks; see `mlbench.training.train`."""
        learn, select = self.views(request, self._parts(request))
        return train(self.setup(request, learn, ranks), learn, select, tell, keeping)

    def _checkpoints(self, request: Mapping[str, Any]) -> Checkpoints:
        run = digest(whole(request))
        versions = {name: version for name, version in environment().items() if name not in ("machine", "cpu_count")}
        versions |= {row["distribution"]: row["version"] for row in provenance_of(request) if "distribution" in row}
        versions["device"] = self.context.device.partition(":")[0]
        return Checkpoints(self.store.state(request), run, versions, self.store.quarantine)

    def _test(self, request: Mapping[str, Any]) -> dict[str, Any]:
        views = self.views(request, self._parts(request))
        further = request["evaluation"].get("metrics", [])
        metrics: list[Metric] = [Retrieval(tuple(request["evaluation"]["recall_at"]))]
        metrics += [from_identity("metrics", identity, "evaluation.metrics").build() for identity in further]
        transform = EvalTransform(Transforms.model_validate(request["transforms"]))
        labels = [torch.from_numpy(view.labels) for view in views]
        models = (self._model(request, run, views[0]) for run in request["models"])
        # A row a model: of the queries and, where there is one, of the gallery.
        where = (self.context.device, self.context.loaders)
        embeddings = [[embed(model, view, transform, *where) for view in views] for model in models]
        joined = [concatenate(parts) for parts in zip(*embeddings, strict=True)]
        separated = [measure(metrics, parts, labels) for parts in embeddings]
        return {"separated": separated, "concatenated": measure(metrics, joined, labels)}

    def _model(self, request: Mapping[str, Any], run: str, view: ImageView) -> torch.nn.Module:
        state = load(self.store.read(run, _MODEL))
        model = model_of(request, view)
        model.load_state_dict(state)
        return model.to(self.context.device)

    def _parts(self, request: Mapping[str, Any]) -> list[Part]:
        """What a job sees: the parts of the test, or those to learn from and to select on."""
        splits = self.splits(request)
        if request["task"] == "test":
            return [part for part in splits.test_parts() if part is not None]
        return list(splits.fold_parts(request["job"]["fold"]))

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

    def setup(self, request: Mapping[str, Any], learn: ImageView, ranks: Ranks = ALONE) -> Setup:
        """The parts of a training that is to learn from a view."""
        context = self.context
        trunk = self._trunk(request)
        return setup_of(request, learn, context.device, trunk, context.loaders, ranks, context.images)

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


def _speed(done: Trained) -> dict[str, float]:
    """What a training's seconds went to."""
    seconds = done.training_seconds
    shares = {f"{phase}_share": spent / seconds for phase, spent in done.phases.items()} if seconds else {}
    return {
        "training_seconds": seconds,
        "images_per_second": done.images / seconds if seconds else 0.0,
        **shares,
    }


def _check_device(device: str) -> None:
    """Refuse a device before any job is recorded as failed because of it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"runtime.device: {device!r} cannot be used here ({reason}); try --device cpu") from None
