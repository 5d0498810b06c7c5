"""Losses over all pairs or triplets of a batch, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ... import losses
from .. import plain_losses
from ..case import DENSE, EXACT, OURS, PML, PRECISIONS, PRODUCT, Bar, Call, Case, Judge, Provider, Setting, Shape, fours
from ..data import Batch, make_batch
from ..gradients import Evaluated, Loss, judge_loss, loss_provider
from ..product import product

_MARGIN = 0.2
_DENSE = 4096
_CPU, _GPU = fours(4096), (fours(4096), fours(65_536, 512))
_MINED = fours(16_384, 512)
MULTI_SIMILARITY = f"{OURS} multi-similarity"
_FORWARD = f"{OURS} forward"


def _ours(name: str, as_name: str = OURS, **options: Any) -> Provider:
    def make(setting: Setting) -> Loss:
        return getattr(losses, name)(**options, **setting._asdict())  # type: ignore[no-any-return]

    return loss_provider(as_name, make, backward=True, precisions=PRECISIONS)


def _theirs(name: str, pair_bytes: float, most: int = 1 << 62) -> Provider:
    def make(_: Setting) -> Loss:
        from pytorch_metric_learning import losses as peers

        return getattr(peers, name)()  # type: ignore[no-any-return]

    return loss_provider(PML, make, backward=True, pair_bytes=pair_bytes, most=most)


def _exact(plain: Loss, name: str) -> Callable[[Batch], Judge]:
    """The loss on dense matrices in float64; where these are too large, the plain engine in float64."""

    def judge(batch: Batch) -> Judge:
        exact = plain if len(batch.labels) <= _DENSE else getattr(losses, name)(backend="blocked")
        return judge_loss(exact, backward=True)(batch)

    return judge


def _streamed(
    operation: str,
    name: str,
    plain: Loss,
    pair_bytes: float,
    bars: tuple[Bar, ...],
    most: int = 1 << 62,
    softmax: bool = False,
) -> Case:
    twice = replace(_ours("MultiSimilarityLoss", MULTI_SIMILARITY), answer=None)  # another loss, for its time
    providers = (_ours(name), *((twice,) if operation != "multi-similarity loss" else ()), product)
    wide = (Bar("cuda", _GPU[1], "time", 4, PRODUCT, "tf32x3"),) if softmax else ()
    return Case(
        operation, make_batch, _exact(plain, name), (*providers, _theirs(name, pair_bytes, most)), (_CPU,),
        _GPU[: 2 if softmax else 1], bars + wide,
    )  # fmt: skip


def _semi_hard() -> Case:
    def theirs(_: Setting) -> Loss:
        from pytorch_metric_learning import losses as peers
        from pytorch_metric_learning import miners

        miner = miners.TripletMarginMiner(margin=_MARGIN, type_of_triplets="semihard")
        loss = peers.TripletMarginLoss(margin=_MARGIN)
        return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))

    shapes = (fours(1024), Shape(2048, 128, 64))
    options: dict[str, Any] = {"margin": _MARGIN, "kind": "semi-hard"}
    exact = partial(plain_losses.all_semi_hard, margin=_MARGIN)
    searched = partial(plain_losses.searched_semi_hard, margin=_MARGIN)
    judge = judge_loss(exact, backward=True, edges=partial(plain_losses.semi_hard_edges, margin=_MARGIN))
    return Case(
        "all semi-hard triplets", make_batch, judge,
        (
            _ours("TripletMarginLoss", **options), product, loss_provider(PML, theirs, backward=True, pair_bytes=2500),
            loss_provider(DENSE, lambda _: searched, backward=True, pair_bytes=60),
        ),
        shapes, shapes,
        (Bar("cpu", shapes[0], "speed", 20, PML), Bar("cpu", shapes[1], "speed", 40, PML)),
    )  # fmt: skip


def _mined_backward() -> Case:
    """The backward pass alone, beside the forward pass, which mines."""

    def ours(setting: Setting) -> Loss:
        return losses.MinedTripletLoss(margin=_MARGIN, mining="batch-hard", **setting._asdict())

    def theirs(_: Setting) -> Loss:
        from pytorch_metric_learning import losses as peers
        from pytorch_metric_learning import miners

        miner, loss = miners.BatchHardMiner(), peers.TripletMarginLoss(margin=_MARGIN)
        return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))

    forward = replace(loss_provider(_FORWARD, ours, backward=False, precisions=PRECISIONS), answer=None)
    exact = partial(plain_losses.batch_hard, margin=_MARGIN)
    judge = judge_loss(exact, backward=True, edges=partial(plain_losses.batch_hard_edges, margin=_MARGIN))
    return Case(
        "hard-mined triplet backward", make_batch, judge,
        (_backward(OURS, ours, PRECISIONS), forward, _backward(PML, theirs, (EXACT,))), (_CPU,), (_MINED,),
        (Bar("cpu", _CPU, "time", 0.1, _FORWARD), Bar("cuda", _MINED, "time", 0.1, _FORWARD, "tf32x3")),
    )  # fmt: skip


def _backward(name: str, make: Callable[[Setting], Loss], precisions: tuple[str, ...]) -> Provider:
    """The backward pass alone."""

    def prepare(batch: Batch, setting: Setting) -> Call:
        x = batch.embeddings.detach().requires_grad_()
        value = make(setting)(x, batch.labels)
        return lambda: Evaluated(value.detach(), torch.autograd.grad(value, x, retain_graph=True)[0])

    return Provider(name, prepare, lambda evaluated: evaluated, precisions)


def _against_theirs(speed: float) -> tuple[Bar, ...]:
    return Bar("cpu", _CPU, "speed", speed, PML), Bar("cpu", _CPU, "memory", 0.1, PML)


_TWICE = (Bar("cpu", _CPU, "time", 2, MULTI_SIMILARITY),)

CASES = (
    _semi_hard(),
    _mined_backward(),
    _streamed("contrastive loss", "ContrastiveLoss", plain_losses.contrastive, 40, _against_theirs(2)),
    _streamed("multi-similarity loss", "MultiSimilarityLoss", plain_losses.multi_similarity, 60, _against_theirs(3)),
    _streamed("SupCon loss", "SupConLoss", plain_losses.sup_con, 60, _against_theirs(3), softmax=True),
    # Theirs list every positive with every negative: more than 20 GiB at N=4,096.
    _streamed("NT-Xent loss", "NTXentLoss", plain_losses.nt_xent, 1200, _TWICE, most=2048, softmax=True),
    _streamed("lifted structured loss", "LiftedStructureLoss", plain_losses.lifted_structure, 1200, _TWICE, most=2048),
)
