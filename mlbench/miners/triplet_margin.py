"""Triplets on the wrong or the right side of a margin."""

from typing import Any, Literal

from pytorch_metric_learning import miners

from mlbench.api import ComponentInfo


class TripletMarginMiner(miners.TripletMarginMiner):  # type: ignore[misc]
    """pytorch-metric-learning's miner with its strategy checked: the plain class takes a misspelt one for ``all``.

    Args:
        margin: The margin ``m`` of ``d_an - d_ap``.
        type_of_triplets: ``all`` that violate the margin, of these the ``hard`` (``d_an <= d_ap``) or the ``semihard``
            (``d_an > d_ap``), or the ``easy``, which are the others.
        **kwargs: ``distance`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Every triplet of a kind: all that violate the margin, hard, semihard or easy",
        citation="https://arxiv.org/abs/1503.03832",
        tags=("triplet",),
    )

    def __init__(
        self,
        margin: float = 0.2,
        type_of_triplets: Literal["all", "hard", "semihard", "easy"] = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(margin=margin, type_of_triplets=type_of_triplets, **kwargs)
