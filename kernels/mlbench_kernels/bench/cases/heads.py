"""Losses over many classes: a step of value and both gradients."""

from __future__ import annotations

from typing import Any

import torch

from ... import losses
from ..case import OURS, PML, Bar, Call, Case, Judge, Provider, Setting, Shape
from ..data import Batch
from ..gradients import Evaluated, judge_evaluated

_SHAPE = Shape(512, 128, 100_000)


def make(shape: Shape, device: torch.device) -> Batch:
    """Random rows of random classes; here the number of classes is that of the head."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(shape.count, shape.dimension, generator=generator)
    labels = torch.randint(0, shape.classes, (shape.count,), generator=generator)
    labels[-1] = shape.classes - 1  # the head is made for as many classes as the labels show
    return Batch(embeddings.to(device), labels.to(device))


def _step(module: Any, name: str, batch: Batch, **options: Any) -> Call:
    torch.manual_seed(0)  # the same classes for everybody
    head = getattr(module, name)(int(batch.labels.max()) + 1, batch.embeddings.shape[1], **options)
    head.to(batch.embeddings)

    def call() -> Evaluated:
        x = batch.embeddings.detach().requires_grad_()
        value = head(x, batch.labels)
        gradient, *_ = torch.autograd.grad(value, (x, *head.parameters()))
        return Evaluated(value.detach(), gradient)

    return call


def _case(name: str) -> Case:
    def ours(batch: Batch, setting: Setting) -> Call:
        return _step(losses, name, batch, backend=setting.backend)

    def theirs(batch: Batch, _: Setting) -> Call:
        from pytorch_metric_learning import losses as peers

        return _step(peers, name, batch)

    def judge(batch: Batch) -> Judge:
        exact = batch._replace(embeddings=batch.embeddings.double())
        return judge_evaluated(_step(losses, name, exact, backend="reference")())

    providers = (Provider(OURS, ours, lambda found: found), Provider(PML, theirs, lambda found: found))
    bars = (Bar("cpu", _SHAPE, "speed", 1, PML), Bar("cpu", _SHAPE, "memory", 0.25, PML))
    return Case(f"{name} head", make, judge, providers, (_SHAPE,), (_SHAPE,), bars)


CASES = (_case("NormalizedSoftmaxLoss"), _case("ArcFaceLoss"))
