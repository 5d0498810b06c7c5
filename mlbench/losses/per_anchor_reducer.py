"""First over the pairs of each anchor, then over anchors."""

from typing import Any, Literal

from pytorch_metric_learning import reducers
from torch import Tensor

from mlbench.api import ComponentInfo


class PerAnchorReducer(reducers.PerAnchorReducer):  # type: ignore[misc]
    """pytorch-metric-learning's reducer with its aggregation by name; the plain class wants a function.

    Args:
        reducer: Reduces the anchors' values; the mean by default.
        aggregation: What an anchor's value is: the ``mean`` or the ``sum`` of the losses of its pairs.
        **kwargs: Whatever else the plain class takes.
    """

    info = ComponentInfo(summary="Losses of pairs, first aggregated for each anchor; not for triplets")

    def __init__(self, reducer: Any = None, aggregation: Literal["mean", "sum"] = "mean", **kwargs: Any) -> None:
        super().__init__(reducer=reducer, aggregation_func={"mean": _mean, "sum": _sum}[aggregation], **kwargs)


def _mean(losses: Tensor, counts: Tensor) -> Tensor:
    """Mean of each row of ``losses`` ``[N, N]``, which has ``counts`` ``[N]`` entries; 0 where it has none."""
    return losses.sum(1) / counts.clamp(min=1)


def _sum(losses: Tensor, counts: Tensor) -> Tensor:
    return losses.sum(1)
