"""The direction term: the cosine at the anchor between the way to a negative and the way to a positive."""

import torch
from torch import Tensor

#: Below this distance two points count as one, and between equal points there is no direction.
_SAME = 1e-6


def direction_cosines(anchors: Tensor, positives: Tensor, others: Tensor) -> Tensor:
    """``cos(o - a, p - a)`` for every anchor ``a``, each of its positives ``p`` and every other point ``o``.

    Where a point equals the anchor the cosine counts 0, without gradient. Memory is O(N (P + M) + N P D + N P M).

    Args:
        anchors: ``[N, D]``.
        positives: Positives of every anchor, ``[N, P, D]``.
        others: ``[M, D]``.

    Returns:
        ``[N, P, M]``, in float32 or better.

    >>> anchors, others = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 0.0]])
    >>> direction_cosines(anchors, torch.tensor([[[1.0, 0.0]]]), others)
    tensor([[[ 1.,  0., -1.,  0.]]])
    """
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    anchors, positives, others = anchors.to(dtype), positives.to(dtype), others.to(dtype)
    way = positives - anchors[:, None]
    way = _divided(way, torch.linalg.vector_norm(way, dim=2, keepdim=True))
    along = way @ others.T - (way * anchors[:, None]).sum(2, keepdim=True)
    # Without the matrix product, which gives equal points a distance.
    lengths = torch.cdist(anchors, others, compute_mode="donot_use_mm_for_euclid_dist")
    return _divided(along, lengths[:, None])


def _divided(numerator: Tensor, length: Tensor) -> Tensor:
    return torch.where(length > _SAME, numerator / length.clamp_min(_SAME), 0.0)
