"""Triplet margin loss."""

from typing import Any, Literal

from pytorch_metric_learning import losses

from mlbench.api import ComponentInfo


class TripletMarginLoss(losses.TripletMarginLoss):  # type: ignore[misc]
    """pytorch-metric-learning's triplet margin loss; ``triplets_per_anchor`` may be a number or ``all``.

    ``relu(d_ap - d_an + margin)``, averaged over the non-zero terms.

    Args:
        triplets_per_anchor: ``all``, or how many random triplets to take for each anchor.
        **kwargs: ``margin``, ``swap``, ``smooth_loss`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Triplet margin: the positive nearer than the negative by a margin",
        citation="https://arxiv.org/abs/1503.03832",
        tags=("triplet",),
    )

    def __init__(self, triplets_per_anchor: int | Literal["all"] = "all", **kwargs: Any) -> None:
        super().__init__(triplets_per_anchor=triplets_per_anchor, **kwargs)
