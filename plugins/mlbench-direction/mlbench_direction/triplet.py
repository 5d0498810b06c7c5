"""Direction-regularised triplet margin loss."""

from typing import Any, ClassVar

from pytorch_metric_learning import losses
from pytorch_metric_learning.utils import loss_and_miner_utils as lmu
from torch import Tensor
from torch.nn.functional import relu, softplus

from mlbench.api import ComponentInfo, Float
from mlbench_direction.cosines import direction_cosines


class DRTripletMarginLoss(losses.TripletMarginLoss):  # type: ignore[misc]
    """``relu(d_ap - d_an + margin - gamma * cos(n - a, p - a))``, averaged over the non-zero terms.

    Moving a negative straight away from the anchor can drive it into the positives. Over the triplets (a, p, n) and
    (p, a, n) the cosines sum to ``2 sin(N/2) cos((A - P)/2)``, with A, P and N the angles of the triangle: for a given
    N most where A = P, that is on the line through the middle of a and p orthogonal to the one between them. Memory is
    O(N^2 D + N^3) for a batch of N.

    Args:
        margin: How much farther than the positive the negative shall be.
        gamma: Weight of the direction. At 0 this is pytorch-metric-learning's triplet margin loss, to the last bit.
        **kwargs: ``smooth_loss``, ``distance``, ``reducer`` and whatever else the plain class takes.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Direction-regularised triplet: a negative leaves orthogonally to the line from anchor to positive",
        citation="Mohan et al.: Moving in the Right Direction. CVPR 2020",
        tags=("triplet", "direction"),
        space={"margin": Float(low=0.0, high=1.0), "gamma": Float(low=0.0, high=1.0)},
    )

    def __init__(self, margin: float = 0.278, gamma: float = 0.492, **kwargs: Any) -> None:
        super().__init__(margin=margin, swap=False, triplets_per_anchor="all", **kwargs)
        self.gamma = gamma

    def compute_loss(
        self, embeddings: Tensor, labels: Tensor, indices_tuple: Any, ref_emb: Tensor, ref_labels: Tensor
    ) -> Any:
        """The loss of every triplet as pytorch-metric-learning's reducers want it."""
        anchor, positive, negative = triplets = lmu.convert_to_triplets(
            indices_tuple, labels, ref_labels, t_per_anchor=self.triplets_per_anchor
        )
        if len(anchor) == 0:
            return self.zero_losses()
        distances = self.distance(embeddings, ref_emb)
        violation = self.distance.margin(distances[anchor, positive], distances[anchor, negative]) + self.margin
        anchors, others = (self.distance.maybe_normalize(side) for side in (embeddings, ref_emb))
        cosines = direction_cosines(anchors, others.expand(len(anchors), -1, -1), others)
        violation = violation - self.gamma * cosines[anchor, positive, negative].to(violation.dtype)
        values = softplus(violation) if self.smooth_loss else relu(violation)
        return {"loss": {"losses": values, "indices": triplets, "reduction_type": "triplet"}}
