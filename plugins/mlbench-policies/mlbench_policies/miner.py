"""One triplet for every anchor, by a policy for the positive and one for the negative."""

from typing import ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mlbench.api import ComponentInfo, Float
from mlbench_policies.collapse import CollapseWatch

Positive: TypeAlias = Literal["easy", "hard"]
Negative: TypeAlias = Literal["semi-hard", "hard"]


class PolicyMiner(nn.Module):
    """Mine triplets by policy on squared Euclidean distances ``d`` of L2-normalised embeddings.

    The positive is the nearest (``easy``) or the farthest (``hard``) sample of the anchor's class. The negative is the
    nearest of those with ``d_ap < d_an < d_ap + margin`` (``semi-hard``) or ``d_an < d_ap`` (``hard``); where there is
    none, the nearest of all. Ties go to the lowest index. Anchors without a positive or without a negative are skipped.

    Args:
        positive: ``easy`` or ``hard``.
        negative: ``semi-hard`` or ``hard``.
        margin: Width of the semi-hard band, the margin of the triplet loss that follows.
        collapse_patience: After how many batches in a row without a distance worth the name the training ends; see
            `CollapseWatch`.

    Raises:
        ValueError: If a policy does not exist, or the margin or the patience is not positive.

    >>> miner = PolicyMiner(positive="easy", negative="hard")
    >>> miner(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    (tensor([0, 1]), tensor([1, 0]), tensor([2, 2]))
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="One triplet per anchor: easy or hard positive, semi-hard or hard negative, else the nearest negative",
        citation="Xuan et al., WACV 2020 (easy positives); https://arxiv.org/abs/1503.03832 (semi-hard negatives)",
        tags=("triplet",),
        space={"margin": Float(low=0.05, high=1.0)},
    )

    def __init__(
        self,
        positive: Positive = "easy",
        negative: Negative = "semi-hard",
        margin: float = 0.5,
        collapse_patience: int = 20,
    ) -> None:
        super().__init__()
        check_policies(positive, negative)
        if not margin > 0:
            raise ValueError(f"margin must be above 0, got {margin}")
        if collapse_patience < 1:
            raise ValueError(f"collapse_patience must be 1 or more batches, got {collapse_patience}")
        self.positive, self.negative, self.margin = positive, negative, margin
        self.watch = CollapseWatch(margin, collapse_patience)

    @torch.no_grad()
    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose a triplet for every anchor.

        Args:
            embeddings: Anchors ``[N, D]``.
            labels: Their labels ``[N]``.
            ref_emb: Where positives and negatives come from ``[M, D]``; the anchors themselves by default.
            ref_labels: Their labels ``[M]``.

        Returns:
            Indices of anchors, positives and negatives, each ``[T]`` with ``T <= N``.

        Raises:
            ValueError: If only one of ``ref_emb`` and ``ref_labels`` is given.
            Collapsed: If all embeddings have been nearly equal for too long.
        """
        if (ref_emb is None) != (ref_labels is None):
            raise ValueError("ref_emb and ref_labels belong together: give both or neither")
        others, other_labels = (embeddings, labels) if ref_emb is None or ref_labels is None else (ref_emb, ref_labels)
        distances = _squared_distances(embeddings, others)
        self.watch.look(distances)
        same = labels[:, None] == other_labels[None, :]
        different = ~same
        if ref_emb is None:
            same.fill_diagonal_(False)
        anchors = (same.any(1) & different.any(1)).nonzero()[:, 0]
        distances, same, different = distances[anchors], same[anchors], different[anchors]
        positives = _nearest(distances if self.positive == "easy" else -distances, same)
        to_positive = distances.gather(1, positives[:, None])
        fitting = different & self._fits(distances, to_positive)
        negatives = _nearest(distances, torch.where(fitting.any(1, keepdim=True), fitting, different))
        return anchors, positives, negatives

    def _fits(self, distances: Tensor, to_positive: Tensor) -> Tensor:
        """Whether a negative at ``distances`` ``[T, M]`` satisfies the policy, given ``d_ap`` ``[T, 1]``."""
        if self.negative == "hard":
            return distances < to_positive
        return (to_positive < distances) & (distances < to_positive + self.margin)


def check_policies(positive: str, negative: str) -> None:
    """Refuse a policy that does not exist.

    Raises:
        ValueError: Naming both and what there is.
    """
    if positive not in get_args(Positive) or negative not in get_args(Negative):
        raise ValueError(
            f"positive must be easy or hard, negative semi-hard or hard, got {positive!r} and {negative!r}"
        )


def _nearest(distances: Tensor, allowed: Tensor) -> Tensor:
    """Index of the smallest allowed distance of each row, the lowest index among equals."""
    return torch.where(allowed, distances, torch.inf).argmin(1)


def _squared_distances(anchors: Tensor, others: Tensor) -> Tensor:
    """``[N, M]`` in float32 or better. Without the matrix product, which gives copies unequal distances."""
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    left, right = normalize(anchors.to(dtype)), normalize(others.to(dtype))
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist").square()
