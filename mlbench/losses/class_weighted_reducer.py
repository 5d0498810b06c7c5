"""Mean of losses weighted by class."""

from typing import Any

import torch
from pytorch_metric_learning import reducers

from mlbench.api import ComponentInfo


class ClassWeightedReducer(reducers.ClassWeightedReducer):  # type: ignore[misc]
    """pytorch-metric-learning's reducer with its weights from a list; the plain class wants a tensor.

    Args:
        weights: One for each training class, in the order of their labels; the anchor's class counts.
        **kwargs: Whatever else the plain class takes.
    """

    info = ComponentInfo(summary="Mean of the losses, each times the weight of its anchor's class")

    def __init__(self, weights: tuple[float, ...], **kwargs: Any) -> None:
        super().__init__(weights=None, **kwargs)
        del self.weights  # a plain attribute cannot become a buffer
        self.register_buffer("weights", torch.tensor(weights))
