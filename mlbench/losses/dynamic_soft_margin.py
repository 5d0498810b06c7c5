"""Triplets weighted by how hard they are among all seen so far."""

from typing import Any

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from mlbench.api import ComponentInfo


class DynamicSoftMarginLoss(losses.DynamicSoftMarginLoss):  # type: ignore[misc]
    """pytorch-metric-learning's dynamic soft margin loss, made trainable for more than one step.

    ``mean(w * (d_ap - d_an))``, where the weight ``w`` is the running cumulative distribution of ``d_ap - d_an``.

    In the plain class (2.9) the running histogram keeps the autograd graph of the last batch, so that the second
    ``backward`` fails; it indexes past its end where ``d_ap - d_an`` lies beyond the last but one bin; and it is
    missing from the state dict. Here weights are constants for the gradient, the last bin takes what lies beyond it,
    and the histogram is a buffer.

    Args:
        **kwargs: ``min_val``, ``num_bins``, ``momentum`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="Dynamic soft margin: triplets weighted by the running distribution of their hardness",
        citation="Zhang & Rusinkiewicz, ICCV 2019",
        tags=("triplet", "stateful"),
        expected_failures={"numerical-gradient": "the weights of triplets are constants for the gradient"},
    )

    hist_: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        histogram = self.hist_
        del self.hist_  # a plain attribute cannot become a buffer
        self.register_buffer("hist_", histogram)

    @torch.no_grad()
    def update_histogram(self, data: Tensor) -> None:
        """Mix the batch's histogram of ``data`` ``[T]`` into the running one, each value shared by its two bins."""
        position = (data - self.min_val) / self.delta
        left = position.floor().long().clamp(0, self.num_bins - 2)
        share = (position - left).clamp(0, 1)
        momentum = self.momentum if self.hist_.sum() != 0 else 1.0
        mixed = (1 - momentum) * self.hist_
        mixed = mixed.scatter_add(0, left, momentum * (1 - share)).scatter_add(0, left + 1, momentum * share)
        self.hist_ = mixed / mixed.sum()

    def weigh_loss(self, data: Tensor) -> Tensor:
        """``data`` ``[T]`` times the cumulative distribution at each value."""
        bins = ((data.detach() - self.min_val) / self.delta).floor().long().clamp(0, self.num_bins - 1)
        return torch.cumsum(self.hist_, 0)[bins] * data
