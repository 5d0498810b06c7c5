"""What the losses share: the call signature of pytorch-metric-learning, and where their pairs come from."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..checks import check_choice
from ..engine import DISTANCES
from ..mining.arguments import BACKENDS, check_arguments
from ..precision import check_precision
from .pairs import AllPairs, ListedPairs, Pairs, distinct, list_pairs


class MetricLoss(nn.Module):
    """Base of the losses that are written over `Pairs`.

    Args:
        distance: "cosine" (margins are cosine similarities, as pytorch-metric-learning has them), "euclidean" or
            "squared-euclidean".
        normalize_embeddings: whether Euclidean distances are those of normalised rows.
        backend: as for `mlbench_kernels.batch_hard`, as is `precision`.
        precision: how the backend "triton" multiplies.

    Attributes:
        terms: after a call, the number of terms that the mean was taken over, `[]`, int64; 0 where the batch had no
            valid pair, whose loss and gradients are 0.
    """

    each_pair_once: ClassVar[bool] = False
    """Whether a pair that a miner lists twice counts once, as in the losses over a matrix of similarities."""

    def __init__(self, distance: str, normalize_embeddings: bool, backend: str, precision: str) -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        check_choice("backend", backend, ("auto", *BACKENDS))
        check_precision(precision)
        self.distance = distance
        self.normalize_embeddings = normalize_embeddings
        self.backend = backend
        self.precision = precision
        self.terms: Tensor | None = None

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss, `[]`.

        Args:
            embeddings: `[N, D]`, anchors; half precision is computed with in float32.
            labels: `[N]`, integers; not needed with `indices_tuple`.
            indices_tuple: triplets (3 tensors) or pairs (4 tensors) of a miner; all pairs if None.
            ref_emb: `[M, D]`, what the anchors are compared with; the anchors themselves if None.
            ref_labels: `[M]`, integers.

        Raises:
            ValueError: for arguments that do not fit.
        """
        anchors = self._rows(embeddings)
        references = None if ref_emb is None else self._rows(ref_emb)
        loss, terms = self.over(anchors, labels, indices_tuple, references, ref_labels)
        self.terms = terms.detach()
        return loss

    def over(
        self,
        anchors: Tensor,
        labels: Tensor | None,
        indices: tuple[Tensor, ...] | None,
        references: Tensor | None,
        reference_labels: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The loss and the number of its terms, of rows as the distance wants them."""
        if indices is None:
            return self.compute(self.all_pairs(anchors, labels, references, reference_labels))
        listed = list_pairs(indices)
        if self.each_pair_once:
            listed = {pool: distinct(pairs) for pool, pairs in listed.items()}
        return self.compute(ListedPairs(anchors, references, self.distance, listed))

    def compute(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """The loss and the number of its terms, `[]` each."""
        raise NotImplementedError

    def as_distance(self, margin: float) -> float:
        """The distance that a margin means."""
        return 1 - margin if self.distance == "cosine" else margin

    def extra_repr(self) -> str:
        """The arguments."""
        return ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name[0] != "_" and _shown(name))

    def _rows(self, embeddings: Tensor) -> Tensor:
        rows = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        if self.distance == "cosine" or not self.normalize_embeddings:
            return rows
        norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        return rows / torch.where(norm > 0, norm, torch.inf)

    def all_pairs(
        self, anchors: Tensor, labels: Tensor | None, references: Tensor | None, reference_labels: Tensor | None
    ) -> AllPairs:
        """The pairs without a miner.

        Raises:
            ValueError: for arguments that do not fit.
        """
        if labels is None:
            raise ValueError("labels: None; expected labels [N], or an indices_tuple")
        checked = check_arguments(
            anchors, labels, references, reference_labels, self.distance, self.backend, self.precision
        )
        return AllPairs(
            anchors, checked.labels, references, checked.reference_labels, self.distance, self.backend, self.precision
        )  # fmt: skip


def mean(total: Tensor, terms: Tensor) -> Tensor:
    """The mean of `terms` terms; 0 if there are none, with the graph of `total`."""
    return total / terms.clamp_min(1)


def _shown(name: str) -> bool:
    return name not in ("training", "terms")
