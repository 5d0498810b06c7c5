"""ArcFace with several centres for each class."""

from typing import Any

from pytorch_metric_learning import losses

from mlbench.api import ComponentInfo


class SubCenterArcFaceLoss(losses.SubCenterArcFaceLoss):  # type: ignore[misc]
    """pytorch-metric-learning's sub-centre ArcFace; the plain class hides two of its arguments in ``**kwargs``.

    Args:
        num_classes: Number of training classes.
        embedding_size: D.
        margin: Angular margin in degrees.
        scale: Scale of the cosines.
        sub_centers: Centres for each class; the nearest one counts.
        **kwargs: ``weight_regularizer`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Sub-centre ArcFace: additive angular margin to the nearest of several centres of the class",
        citation="Deng et al., ECCV 2020",
        tags=("classification",),
    )

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        margin: float = 28.6,
        scale: float = 64.0,
        sub_centers: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            embedding_size=embedding_size,
            margin=margin,
            scale=scale,
            sub_centers=sub_centers,
            **kwargs,
        )
