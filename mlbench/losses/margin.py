"""Margin loss with a learnt boundary."""

from typing import Any, Literal

from pytorch_metric_learning import losses

from mlbench.api import ComponentInfo


class MarginLoss(losses.MarginLoss):  # type: ignore[misc]
    """pytorch-metric-learning's margin loss; ``triplets_per_anchor`` may be a number or ``all``.

    ``relu(d_ap - beta + margin) + relu(beta - d_an + margin)``, averaged over the non-zero terms.

    Args:
        triplets_per_anchor: ``all``, or how many random triplets to take for each anchor.
        num_classes: Gives each class its own ``beta``; ``"auto"`` takes the number of training classes.
        **kwargs: ``margin``, ``nu``, ``beta``, ``learn_beta`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Margin loss: pairs on their side of a boundary beta, which can be learnt, also for each class",
        citation="https://arxiv.org/abs/1706.07567",
        tags=("triplet",),
    )

    def __init__(
        self, triplets_per_anchor: int | Literal["all"] = "all", num_classes: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(triplets_per_anchor=triplets_per_anchor, num_classes=num_classes, **kwargs)
