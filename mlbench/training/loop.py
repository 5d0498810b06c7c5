"""The training loop: batches, miner, loss, early stopping on validation MAP@R.

It is given a training view and a validation view, and nothing through which test classes could be reached.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlbench.api import Diverged, FollowsEpochs
from mlbench.api.sampler import GroupedBatch, Indices, RefreshedSampler, Sampler
from mlbench.data.images import ImageView
from mlbench.data.loader import Batch, Loader
from mlbench.data.transforms import EvalTransform, TrainTransform
from mlbench.evaluation import Retrieval
from mlbench.models.embedder import EmbeddingModel
from mlbench.registry import info_of
from mlbench.spec.training import Training
from mlbench.training.embed import embed, outputs
from mlbench.training.optimizers import optimizers_of


@dataclass
class Trained:
    """What a training leaves: the model of the best validation, the curve, and what it took.

    Attributes:
        state: State dict of the best model.
        best: Validation metrics of the best epoch, with the epoch.
        curve: One entry for every validation.
        images: Images seen in training.
        training_seconds: Seconds in the batches, without validation.
        waiting_seconds: Seconds of these in which nothing was done but wait for the next batch.
        stopped_early: Whether it stopped for being below `Setup.stop_below`.
    """

    state: dict[str, Tensor]
    best: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    images: int = 0
    training_seconds: float = 0.0
    waiting_seconds: float = 0.0
    stopped_early: bool = False


@dataclass
class Setup:
    """The parts of one training, built.

    ``stop_below`` has the scores that the best validation so far must have reached by some epochs.
    """

    model: EmbeddingModel
    loss: nn.Module | None
    miner: nn.Module | None
    sampler: Sampler
    batches: Iterator[Indices | GroupedBatch]
    train_transform: TrainTransform
    eval_transform: EvalTransform
    training: Training
    metrics: Retrieval
    device: str
    seed: int
    loaders: int = 0
    stop_below: Mapping[int, float] = field(default_factory=dict)


def train(
    setup: Setup, train_view: ImageView, val_view: ImageView, tell: Callable[[Mapping[str, Any]], None]
) -> Trained:
    """Train until validation MAP@R has not risen for the patience or is hopelessly low, or to the last epoch.

    Without a loss there is nothing to train: the model is validated as it is, at epoch 0.

    Args:
        setup: Everything built.
        train_view: Classes to learn from.
        val_view: Classes to select on.
        tell: Called after every validation with the curve's new entry.

    Raises:
        TrainingStopped: If the loss or the embeddings stop being finite, or a component gives up.
    """
    if setup.loss is None:
        entry = _validate(setup, val_view, epoch=0, loss=None)
        return Trained(_copy_state(setup.model), entry, [entry])
    steps = _Steps(setup, train_view)
    done = Trained({}, {})
    for epoch in range(1, setup.training.max_epochs + 1):
        _start_epoch(epoch - 1, setup.loss, setup.miner, setup.sampler)
        started = time.perf_counter()
        steps.refresh(epoch)
        mean_loss = steps.epoch()
        done.training_seconds += time.perf_counter() - started
        if epoch % setup.training.evaluate_every and epoch < setup.training.max_epochs:
            continue
        entry = _validate(setup, val_view, epoch, mean_loss)
        done.curve.append(entry)
        tell(entry)
        if not done.best or entry["map_at_r"] > done.best["map_at_r"]:
            done.best, done.state = entry, _copy_state(setup.model)
        elif epoch - done.best["epoch"] > setup.training.patience:
            break
        if done.best["map_at_r"] < setup.stop_below.get(epoch, -math.inf):
            done.stopped_early = True
            break
    done.images = steps.images
    done.waiting_seconds = steps.loader.waited
    return done


class _Steps:
    """Optimisation steps over an endless stream of batches."""

    def __init__(self, setup: Setup, view: ImageView) -> None:
        self.setup = setup
        self.view = view
        self.labels = torch.from_numpy(view.labels)
        self.optimizers = optimizers_of(setup.model, setup.loss, setup.training)
        self.generator = torch.Generator().manual_seed(setup.seed)
        self.needs = info_of(type(setup.loss)).needs
        self.loader = Loader(
            view,
            setup.batches,
            setup.train_transform,
            self.generator,
            views=2 if "second_view" in self.needs else 1,
            threads=setup.loaders,
            pinned=setup.device.startswith("cuda"),
        )
        self.images = 0

    def refresh(self, epoch: int) -> None:
        """Show the sampler all training items as the model sees them now, if it wants that in this epoch."""
        sampler = self.setup.sampler
        if isinstance(sampler, RefreshedSampler) and (epoch - 1) % getattr(sampler, "refresh_every", 1) == 0:
            embeddings = outputs(self.setup.model, self.view, self.setup.eval_transform, self.setup.device)
            sampler.refresh(embeddings.numpy(), self.view.labels)

    def epoch(self) -> float:
        """One epoch; the mean loss.

        Raises:
            Diverged: If a loss is not finite.
        """
        setup = self.setup
        setup.model.train()
        total = 0.0
        for batch in self.loader.take(setup.training.iterations_per_epoch):
            value = self.step(batch)
            if not np.isfinite(value):
                raise Diverged(f"the loss became {value} after {self.images} images")
            total += value
        return total / setup.training.iterations_per_epoch

    def step(self, batch: Batch) -> float:
        """One batch; its loss."""
        assert self.setup.loss is not None
        labels = self.labels[torch.from_numpy(batch.indices)].to(self.setup.device)
        embeddings, *second = (self._embeddings(images) for images in batch.views)
        reference = {"ref_emb": second[0], "ref_labels": labels} if second else {}
        pairs = self.setup.miner(embeddings, labels, **reference) if self.setup.miner else None
        clusters = labels if batch.groups is None else torch.from_numpy(batch.groups).to(self.setup.device)
        grouped = {"groups": clusters} if "groups" in self.needs else {}
        loss = self.setup.loss(embeddings, labels, pairs, **reference, **grouped)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.images += len(batch.indices)
        return float(loss.detach())

    def _embeddings(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.setup.model(images.to(self.setup.device, non_blocking=True))
        return embeddings


def _start_epoch(epoch: int, *parts: object) -> None:
    """Tell every part, and every module inside it, that follows the epochs."""
    for part in parts:
        for module in part.modules() if isinstance(part, nn.Module) else (part,):
            if isinstance(module, FollowsEpochs):
                module.start_epoch(epoch)


def _validate(setup: Setup, view: ImageView, epoch: int, loss: float | None) -> dict[str, float]:
    embeddings = embed(setup.model, view, setup.eval_transform, setup.device)
    if not bool(torch.isfinite(embeddings).all()):
        raise Diverged(f"embeddings are not finite at epoch {epoch}")
    found = setup.metrics(embeddings, torch.from_numpy(view.labels))
    return {"epoch": epoch, **({} if loss is None else {"loss": loss}), **found}


def _copy_state(model: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(model.state_dict())
