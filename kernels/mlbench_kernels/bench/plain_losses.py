"""The losses as their papers write them, on dense matrices: what answers are checked against, in float64."""

from __future__ import annotations

from collections.abc import Iterator

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
    total, count = x.new_zeros(()), 0
    for _, gap in _gaps(x, labels):
        open_ = (gap > 0) & (gap < margin)
        total, count = total + (margin - gap[open_]).sum(), count + int(open_.sum())
    return total / max(1, count)


def searched_semi_hard(x: Tensor, labels: Tensor, margin: float) -> Tensor:
    """`all_semi_hard` as the fastest published way: negatives sorted, positives searched among them, O(N² log N)."""
    distance, (positive, negative) = _distance(x), _pools(labels)
    far = distance.masked_fill(~negative, torch.inf).sort(dim=1).values
    sums = torch.nn.functional.pad(far.masked_fill(far.isinf(), 0).cumsum(dim=1), (1, 0))
    near = distance.masked_fill(~positive, -torch.inf).topk(int(positive.sum(dim=1).max()), dim=1).values
    limits = near.detach().contiguous()
    first = torch.searchsorted(far.detach(), limits, right=True)
    last = torch.searchsorted(far.detach(), limits + margin)
    count = last - first  # nothing is between minus infinity and itself
    costs = count * (near.masked_fill(near.isinf(), 0) + margin) - (sums.gather(1, last) - sums.gather(1, first))
    return costs.sum() / count.sum().clamp_min(1)


def semi_hard_edges(x: Tensor, labels: Tensor, step: float, margin: float) -> float:
    """How far the gradient of `all_semi_hard` moves, at most, when the triplets within `step` of an edge change sides.

    A triplet moves the gradient of its anchor by at most 2, of positive and negative by 1, over the number of all.
    """
    moved, count = x.new_zeros(len(x)), 0
    for positive, gap in _gaps(x, labels):
        unsure = (gap.abs() < step) | ((gap - margin).abs() < step)
        each = unsure.sum(dim=1).to(x.dtype)
        moved += 2 * each + unsure.sum(dim=0)
        moved.index_add_(0, positive, each)
        count += int(((gap > 0) & (gap < margin)).sum())
    return float(moved.norm()) / max(1, count)


def _gaps(x: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """A positive of every anchor, `[N]`, and `d_an - d_ap` for all its negatives, `[N, N]`, elsewhere infinite."""
    distance, (positive, negative) = _distance(x), _pools(labels)
    order = positive.int().argsort(dim=1, descending=True, stable=True)
    for k in range(int(positive.sum(dim=1).max())):
        column = order[:, k : k + 1]
        valid = negative & positive.gather(1, column)
        yield column[:, 0], (distance - distance.gather(1, column)).masked_fill(~valid, torch.inf)


def batch_hard(x: Tensor, labels: Tensor, margin: float) -> Tensor:
    """`relu(d_ap - d_an + margin)` of the farthest positive and nearest negative, mean over what is not 0."""
    distance, (positive, negative) = _distance(x), _pools(labels)
    far = distance.masked_fill(~positive, -torch.inf).amax(dim=1)
    near = distance.masked_fill(~negative, torch.inf).amin(dim=1)
    return _mean_of_nonzero((far - near + margin).relu())


def batch_hard_edges(x: Tensor, labels: Tensor, step: float, margin: float) -> float:
    """How far the gradient of `batch_hard` moves, at most, by other picks within `step` of the hardest or of no cost.

    An anchor with another triplet moves the gradient by at most 4 in all, over the number of anchors that count.
    """
    distance, (positive, negative) = _distance(x), _pools(labels)
    far = distance.masked_fill(~positive, -torch.inf).topk(2, dim=1).values
    near = distance.masked_fill(~negative, torch.inf).topk(2, dim=1, largest=False).values
    excess = far[:, 0] - near[:, 0] + margin
    unsure = (far[:, 0] - far[:, 1] < step) | (near[:, 1] - near[:, 0] < step) | (excess.abs() < step)
    return 4 * int(unsure.sum()) / max(1, int((excess > 0).sum()))
