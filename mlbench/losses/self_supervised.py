"""Any pair loss on two views of the same samples."""

from typing import Any

from pytorch_metric_learning import losses
from torch import Tensor

from mlbench.api import ComponentInfo


class SelfSupervisedLoss(losses.SelfSupervisedLoss):  # type: ignore[misc]
    """pytorch-metric-learning's self-supervised wrapper under the usual call signature.

    Every sample is its own class; its positive is its other view.

    Args:
        loss: The pair or triplet loss to use.
        symmetric: Whether both views are anchors, against all other views, or only the first against the second.
    """

    info = ComponentInfo(
        summary="Self-supervised: a pair loss in which the two views of a sample are the only positives",
        tags=("wrapper", "self-supervised"),
        needs=frozenset({"second_view"}),
        example={"loss": "nt-xent"},
    )

    def __init__(self, loss: Any, symmetric: bool = True) -> None:
        super().__init__(loss=loss, symmetric=symmetric)

    @classmethod
    def check_loss_support(cls, loss_name: str) -> None:
        """Refuse a loss that cannot do without class labels.

        Raises:
            ValueError: With the losses that can.
        """
        if loss_name not in cls.supported_losses():
            raise ValueError(f"loss: {loss_name} needs classes; these do not: {', '.join(cls.supported_losses())}")

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: Any = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss between two views ``embeddings`` and ``ref_emb`` ``[N, D]``; labels are not used, pairs refused."""
        if indices_tuple is not None:
            raise ValueError("indices_tuple is not supported by SelfSupervisedLoss; leave out the miner")
        if ref_emb is None:
            raise ValueError("SelfSupervisedLoss needs the second view of every sample as ref_emb")
        loss: Tensor = super().forward(embeddings, ref_emb)
        return loss
