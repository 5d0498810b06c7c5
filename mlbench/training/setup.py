"""From a request, which is plain data, to the built parts of a training."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from mlbench.api.sampler import Sampler
from mlbench.api.trunk import StartsFromWeights
from mlbench.data.batches import batches_of
from mlbench.data.images import ImageView
from mlbench.data.on_device import OnDevice
from mlbench.data.samplers import MPerClass
from mlbench.data.transforms import EvalTransform, TrainTransform, output_channels
from mlbench.evaluation import Retrieval
from mlbench.models.embedder import EmbeddingModel
from mlbench.registry import Resolved, resolve
from mlbench.spec import Training, Transforms
from mlbench.training.loop import Setup
from mlbench.training.ranks import ALONE, Ranks


def setup_of(
    request: Mapping[str, Any],
    train_view: ImageView,
    device: str,
    trunk: Resolved | None = None,
    loaders: int = 0,
    ranks: Ranks = ALONE,
    images: Literal["mapped", "device"] = "mapped",
) -> Setup:
    """Build model, loss, miner, batches and transforms of a training request.

    Everything random is seeded here: initial weights and random choices inside losses and miners by the global
    generator, batches and augmentation by generators of their own.

    Args:
        request: What to train.
        train_view: What to train on.
        device: Where to compute.
        trunk: The request's trunk as the benchmark file names it. The request says what its initial weights are, not
            where they lie; where they are random it says all.
        loaders: Threads that make batches ahead.
        ranks: The processes of the training.
        images: Where the images lie and are cropped.

    Raises:
        DataError: If the images do not fit on the device.
        ConfigError: If a component refuses its arguments, or the batch does not fit the classes.
    """
    seed = int(request["seed"])
    training = Training.model_validate(request["training"])
    torch.set_num_threads(training.threads)
    torch.manual_seed(seed)
    trunk = trunk or from_identity("models", request["model"]["trunk"], "model.trunk")
    model = _model(request, train_view, trunk, training.precision).to(device)
    context = {"num_classes": int(train_view.labels.max()) + 1, "embedding_size": model.embedding_size}
    loss, miner = (_module(request[part], context, part, device) for part in ("loss", "miner"))
    # Nothing is drawn where nothing is trained, and the plan has checked the batches of nobody else.
    sampler = None if loss is None else _sampler(request, training.batch_size)
    transforms = Transforms.model_validate(request["transforms"])
    return Setup(
        model=model,
        loss=loss,
        miner=miner,
        sampler=sampler,
        batches=batches_of(sampler, train_view.labels, seed, train_view.superclasses) if sampler else iter(()),
        train_transform=TrainTransform(transforms, ranks.rank, ranks.world_size),
        eval_transform=EvalTransform(transforms),
        training=training,
        metrics=Retrieval(tuple(request["evaluation"]["recall_at"])),
        device=device,
        seed=seed,
        loaders=loaders,
        ranks=ranks,
        resident=OnDevice(train_view, transforms, device) if images == "device" else None,
    )


def _sampler(request: Mapping[str, Any], batch_size: int) -> Sampler:
    if "sampler" not in request:
        return MPerClass(batch_size, request["samples_per_class"])
    sampler: Sampler = from_identity("samplers", request["sampler"], "sampler").build(batch_size=batch_size)
    return sampler


def model_of(request: Mapping[str, Any], view: ImageView) -> EmbeddingModel:
    """The model of a request for the items of a view, to be filled with a trained state."""
    trunk = from_identity("models", request["model"]["trunk"], "model.trunk")
    if issubclass(trunk.component, StartsFromWeights):
        trunk = replace(trunk, arguments={**trunk.arguments, "weights": "none"})
    return _model(request, view, trunk)


def _model(
    request: Mapping[str, Any], view: ImageView, trunk: Resolved, precision: Literal["fp32", "bf16"] = "fp32"
) -> EmbeddingModel:
    table = request["model"]
    transforms = Transforms.model_validate(request["transforms"])
    channels = view.channels if view.vectors else output_channels(transforms, view.channels)
    return EmbeddingModel(
        trunk.build(in_channels=channels),
        table["embedding_size"],
        freeze_batchnorm=table["freeze_batchnorm"],
        frozen_trunk=table.get("frozen_trunk", False),
        precision=precision,
    )


def from_identity(kind: str, identity: Mapping[str, Any], where: str) -> Resolved:
    """Resolve a component from what was hashed, so that what is run is what was hashed."""
    return resolve(kind, _table(identity), where)


def _table(value: Any) -> Any:
    if isinstance(value, Mapping) and "arguments" in value:
        return {"id": value["id"], **{name: _table(item) for name, item in value["arguments"].items()}}
    if isinstance(value, list):
        return [_table(item) for item in value]
    return value


def _module(identity: Mapping[str, Any] | None, context: Mapping[str, int], part: str, device: str) -> nn.Module | None:
    if identity is None:
        return None
    module: nn.Module = from_identity(part + ("es" if part == "loss" else "s"), identity, part).build(**context)
    return module.to(device)
