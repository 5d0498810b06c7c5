"""The training loop: batches, miner, loss, early stopping on validation MAP@R.

It is given a training view and a validation view, and nothing through which test classes could be reached.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mlbench.api import Diverged, FollowsEpochs
from mlbench.api.sampler import GroupedBatch, Indices, RefreshedSampler, Sampler
from mlbench.data.images import ImageView
from mlbench.data.loader import Batch, Loader
from mlbench.data.on_device import OnDevice
from mlbench.data.transforms import EvalTransform, TrainTransform
from mlbench.evaluation import Retrieval
from mlbench.models.embedder import EmbeddingModel
from mlbench.registry import info_of
from mlbench.spec.training import Training
from mlbench.training.clock import Clock
from mlbench.training.embed import embed, outputs
from mlbench.training.keeper import CannotResume, Keeper, Position
from mlbench.training.optimizers import optimizers_of
from mlbench.training.ranks import ALONE, Ranks
from mlbench.training.state import Batches, random_state, restore, restore_random, state_of


@dataclass
class Trained:
    """What a training leaves: the model of the best validation, the curve, and what it took.

    Attributes:
        state: State dict of the best model.
        best: Validation metrics of the best epoch, with the epoch.
        curve: One entry for every validation.
        images: Images seen in training.
        training_seconds: Seconds in the batches, without validation.
        phases: Seconds of them by `PHASES`.
    """

    state: dict[str, Tensor]
    best: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    images: int = 0
    training_seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)


@dataclass
class Setup:
    """The parts of one training, built; without a loss there is no sampler either."""

    model: EmbeddingModel
    loss: nn.Module | None
    miner: nn.Module | None
    sampler: Sampler | None
    batches: Iterator[Indices | GroupedBatch]
    train_transform: TrainTransform
    eval_transform: EvalTransform
    training: Training
    metrics: Retrieval
    device: str
    seed: int
    loaders: int = 0
    ranks: Ranks = ALONE
    resident: OnDevice | None = None


def train(
    setup: Setup,
    train_view: ImageView,
    val_view: ImageView,
    tell: Callable[[Mapping[str, Any]], None],
    keeper: Keeper | None = None,
) -> Trained:
    """Train until validation MAP@R has not risen for the patience, or to the last epoch.

    Without a loss there is nothing to train: the model is validated as it is, at epoch 0.

    Args:
        setup: Everything built.
        train_view: Classes to learn from.
        val_view: Classes to select on.
        tell: Called after every validation with the curve's new entry, on rank 0.
        keeper: Says where to go on, and is offered the state between any two steps; of rank 0.

    Raises:
        TrainingStopped: If the loss or the embeddings stop being finite, or a component gives up.
        Interrupted: If the keeper wants it.
        CannotResume: If the state that the keeper gave does not fit; the parts are then of no use.
    """
    if setup.loss is None:
        entry = _validate(setup, val_view, epoch=0, loss=None)
        return Trained(_copy_state(setup.model), entry, [entry])
    return _Training(setup, train_view, val_view, tell, keeper or Keeper()).run()


class _Training:
    """Epochs and validations, from wherever the keeper says."""

    def __init__(
        self,
        setup: Setup,
        train_view: ImageView,
        val_view: ImageView,
        tell: Callable[[Mapping[str, Any]], None],
        keeper: Keeper,
    ) -> None:
        self.setup, self.val_view, self.tell, self.keeper = setup, val_view, tell, keeper
        self.steps = _Steps(setup, train_view)
        self.position = Position()
        self.done = Trained({}, {})

    def run(self) -> Trained:
        """Train to the end."""
        if (kept := self.setup.ranks.first(self.keeper.resume)) is not None:
            try:
                self._restore(kept)
            except Exception as error:  # whatever a component raises about its own state
                raise CannotResume(f"{type(error).__name__}: {error}") from error
        training, going = self.setup.training, True
        while going and self.position.epoch <= training.max_epochs:
            mean_loss, epoch = self._epoch(), self.position.epoch
            validated = epoch % training.evaluate_every == 0 or epoch == training.max_epochs
            if validated:
                going = self.setup.ranks.first(partial(self._validated, mean_loss))
            self.position = Position(epoch + 1)
            if going:
                self._offer(validated=validated)
        self.done.images = self.steps.images
        self.done.phases = self.steps.seconds
        return self.done

    def _epoch(self) -> float:
        """What is left of an epoch; the mean loss of all of it."""
        steps, position, batches = self.steps, self.position, self.setup.training.iterations_per_epoch
        started = time.perf_counter()
        if position.step == 0:
            _start_epoch(position.epoch - 1, *self._parts)
            steps.refresh(position.epoch)
        self.setup.model.train()
        for batch in steps.loader.take(batches - position.step):
            position.total += steps.step(batch)
            position.step += 1
            if position.step < batches:
                self.done.training_seconds += time.perf_counter() - started
                self._offer(validated=False)
                started = time.perf_counter()
        self.done.training_seconds += time.perf_counter() - started
        return position.total / batches

    def _validated(self, mean_loss: float) -> bool:
        """Validate; whether to go on."""
        epoch = self.position.epoch
        entry = _validate(self.setup, self.val_view, epoch, mean_loss)
        self.done.curve.append(entry)
        self.tell(entry)
        if not self.done.best or entry["map_at_r"] > self.done.best["map_at_r"]:
            self.done.best, self.done.state = entry, _copy_state(self.setup.model)
        return epoch - self.done.best["epoch"] <= self.setup.training.patience

    @property
    def _parts(self) -> tuple[object, ...]:
        return self.setup.loss, self.setup.miner, self.setup.sampler

    def _offer(self, *, validated: bool) -> None:
        capture = self._capture if self.steps.batches.resumable else None
        self.keeper.offer(self.position, capture, validated=validated)

    def _capture(self) -> dict[str, Any]:
        return {
            "position": asdict(self.position),
            "done": {field.name: getattr(self.done, field.name) for field in fields(self.done)},
            "steps": self.steps.state_dict(),
            "random": random_state(self.setup.device),
        }

    def _restore(self, kept: dict[str, Any]) -> None:
        self.position = Position(**kept["position"])
        if self.position.step:  # what follows the epochs was told of this one before
            _start_epoch(self.position.epoch - 1, *self._parts)
        self.done = Trained(**kept["done"])
        self.steps.load_state_dict(kept["steps"])
        restore_random(kept["random"], self.setup.device)


class _Steps:
    """Optimisation steps over an endless stream of batches."""

    def __init__(self, setup: Setup, view: ImageView) -> None:
        assert setup.sampler is not None
        self.setup = setup
        self.view = view
        self.device = torch.device(setup.device)
        self.labels = torch.from_numpy(view.labels)
        self.batches = Batches(setup.sampler, setup.batches)
        self.embedder = setup.ranks.embedder(setup.model)
        self.optimizers = optimizers_of(setup.model, setup.loss, setup.training)
        self.generator = torch.Generator().manual_seed(setup.seed)
        self.needs = info_of(type(setup.loss)).needs
        self.clock = Clock(setup.device)
        self.loader = Loader(
            view,
            setup.ranks.batches(self.batches),
            setup.train_transform,
            self.generator,
            views=2 if "second_view" in self.needs else 1,
            threads=setup.loaders,
            pinned=setup.device.startswith("cuda"),
            snapshot=self._drawn,
            resident=setup.resident,
        )
        self.images = 0

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by `PHASES`."""
        return self.clock.seconds | {"data": self.loader.waited}

    def _drawn(self) -> dict[str, Any]:
        """Where the streams of batches and of random numbers are."""
        return {"batches": self.batches.state_dict(), "generator": self.generator.get_state()}

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step changes, but for the global generators."""
        setup = self.setup
        return {
            "modules": [state_of(module) for module in (setup.model, setup.loss, setup.miner)],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            # What the loader has drawn ahead is not lost: it is drawn again.
            "drawn": self.loader.state or self._drawn(),
            "seconds": self.seconds,
            "images": self.images,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go where `state_dict` was."""
        setup = self.setup
        for module, kept in zip((setup.model, setup.loss, setup.miner), state["modules"], strict=True):
            restore(module, kept)
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.batches.load_state_dict(state["drawn"]["batches"])
        self.generator.set_state(state["drawn"]["generator"])
        self.clock.seconds = dict(state["seconds"])
        self.loader.waited = state["seconds"]["data"]
        self.images = state["images"]

    def refresh(self, epoch: int) -> None:
        """Show the sampler all training items as the model sees them now, if it wants that in this epoch."""
        sampler = self.setup.sampler
        if isinstance(sampler, RefreshedSampler) and (epoch - 1) % getattr(sampler, "refresh_every", 1) == 0:
            setup = self.setup
            shown = partial(outputs, setup.model, self.view, setup.eval_transform, setup.device, setup.loaders)
            sampler.refresh(setup.ranks.first(shown).numpy(), self.view.labels)

    def step(self, batch: Batch) -> float:
        """One batch, of which this rank embeds its part; its loss.

        Raises:
            Diverged: If it is not finite.
        """
        assert self.setup.loss is not None
        labels = self._gathered(self.labels.index_select(0, torch.from_numpy(batch.indices)))
        embeddings = self._embeddings(batch.views[0])
        reference = {"ref_emb": self._embeddings(batch.views[1]), "ref_labels": labels} if len(batch.views) > 1 else {}
        pairs = None
        if self.setup.miner:
            with self.clock("mining"):
                pairs = self.setup.miner(embeddings, labels, **reference)
        clusters = labels if batch.groups is None else self._gathered(torch.from_numpy(batch.groups))
        grouped = {"groups": clusters} if "groups" in self.needs else {}
        with self.clock("loss"):
            loss = self.setup.loss(embeddings, labels, pairs, **reference, **grouped)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.setup.ranks.align(self.setup.loss)
        for optimizer in self.optimizers:
            optimizer.step()
        self.images += len(labels)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged(f"the loss became {value} after {self.images} images")
        return value

    def _embeddings(self, images: Tensor) -> Tensor:
        return self.embedder(images.to(self.device, non_blocking=True))

    def _gathered(self, part: Tensor) -> Tensor:
        return self.setup.ranks.gather(part.to(self.device))


def _start_epoch(epoch: int, *parts: object) -> None:
    """Tell every part, and every module inside it, that follows the epochs."""
    for part in parts:
        for module in part.modules() if isinstance(part, nn.Module) else (part,):
            if isinstance(module, FollowsEpochs):
                module.start_epoch(epoch)


def _validate(setup: Setup, view: ImageView, epoch: int, loss: float | None) -> dict[str, float]:
    embeddings = embed(setup.model, view, setup.eval_transform, setup.device, setup.loaders)
    if not bool(torch.isfinite(embeddings).all()):
        raise Diverged(f"embeddings are not finite at epoch {epoch}")
    found = setup.metrics(embeddings, torch.from_numpy(view.labels))
    return {"epoch": epoch, **({} if loss is None else {"loss": loss}), **found}


def _copy_state(model: nn.Module) -> dict[str, Tensor]:
    kept = model.state_dict().items()
    return {name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value) for name, value in kept}
