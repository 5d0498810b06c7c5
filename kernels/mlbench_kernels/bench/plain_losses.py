"""The losses as their papers write them, on dense matrices: what answers are checked against, in float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus


def _similarity(x: Tensor) -> Tensor:
    x = normalize(x)
    return x @ x.T


def _distance(x: Tensor) -> Tensor:
    square = 2 - 2 * _similarity(x)
    # On the diagonal the root has no derivative; nothing looks there.
    return square.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), 1).clamp_min(0).sqrt()


def _pools(labels: Tensor) -> tuple[Tensor, Tensor]:
    same = labels[:, None] == labels
    return same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~same


def _mean_of_nonzero(values: Tensor) -> Tensor:
    return values.sum() / (values > 0).sum().clamp_min(1)


def contrastive(x: Tensor, labels: Tensor) -> Tensor:
    """`d` of positives and `relu(1 - d)` of negatives, means over what is not 0."""
    distance, (positive, negative) = _distance(x), _pools(labels)
    return _mean_of_nonzero(distance[positive]) + _mean_of_nonzero((1 - distance[negative]).relu())


def multi_similarity(x: Tensor, labels: Tensor) -> Tensor:
    """With alpha 2, beta 50, base 0.5 (Wang et al., 2019, equation 16)."""
    similarity, (positive, negative) = _similarity(x) - 0.5, _pools(labels)
    near = softplus((-2 * similarity).masked_fill(~positive, -torch.inf).logsumexp(dim=1)) / 2
    far = softplus((50 * similarity).masked_fill(~negative, -torch.inf).logsumexp(dim=1)) / 50
    return (near + far).mean()


def sup_con(x: Tensor, labels: Tensor) -> Tensor:
    """At temperature 0.1 (Khosla et al., 2020, equation 2)."""
    similarity, (positive, negative) = 10 * _similarity(x), _pools(labels)
    others = similarity.masked_fill(~(positive | negative), -torch.inf).logsumexp(dim=1)
    return (others - (similarity * positive).sum(dim=1) / positive.sum(dim=1)).mean()


def nt_xent(x: Tensor, labels: Tensor) -> Tensor:
    """At temperature 0.07: every positive pair against the anchor's negatives."""
    similarity, (positive, negative) = _similarity(x) / 0.07, _pools(labels)
    others = similarity.masked_fill(~negative, -torch.inf).logsumexp(dim=1, keepdim=True)
    return softplus(others - similarity)[positive].mean()


def lifted_structure(x: Tensor, labels: Tensor) -> Tensor:
    """With margin 1 (Song et al., 2016, equation 4)."""
    distance, (positive, negative) = _distance(x), _pools(labels)
    others = (1 - distance).masked_fill(~negative, -torch.inf).logsumexp(dim=1)
    both = torch.logaddexp(others[:, None], others[None, :])
    return ((both + distance)[positive].relu().square() / 2).mean()


def all_semi_hard(x: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The mean of `d_ap - d_an + margin` over all triplets with `0 < d_an - d_ap < margin`, positive by positive."""
    distance, (positive, negative) = _distance(x), _pools(labels)
    order = positive.int().argsort(dim=1, descending=True, stable=True)
    total, count = distance.new_zeros(()), 0
    for k in range(int(positive.sum(dim=1).max())):
        column = order[:, k : k + 1]
        gap = distance - distance.gather(1, column)
        open_ = negative & positive.gather(1, column) & (gap > 0) & (gap < margin)
        total, count = total + (margin - gap[open_]).sum(), count + int(open_.sum())
    return total / max(1, count)
