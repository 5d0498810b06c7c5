"""Large-margin softmax and SphereFace: multiplied angles."""

import math

import torch
from pytorch_metric_learning import losses

from mlbench.api import ComponentInfo


class _MultipliedAngle:
    """Coefficients of ``cos(m * theta)``, ``sum_n (-1)^n C(m, 2n) cos^(m - 2n) sin^(2n)``, without torch inside SciPy.

    pytorch-metric-learning (2.9) gives tensors to a SciPy function, which NumPy 2 announces to stop supporting.
    """

    margin: float

    def init_margin(self) -> None:
        self.margin = int(self.margin)
        self.max_n = self.margin // 2
        orders = range(self.max_n + 1)
        self.n_range = torch.tensor(list(orders))
        self.margin_choose_n = torch.tensor([math.comb(self.margin, 2 * n) for n in orders])
        self.cos_powers = torch.tensor([self.margin - 2 * n for n in orders])
        self.alternating = torch.tensor([(-1) ** n for n in orders])


class LargeMarginSoftmaxLoss(_MultipliedAngle, losses.LargeMarginSoftmaxLoss):  # type: ignore[misc]
    """pytorch-metric-learning's large-margin softmax; ``margin`` is the whole number that multiplies the angle."""

    info = ComponentInfo(
        summary="Large-margin softmax: the angle to the own class's weight is multiplied by a whole number",
        citation="https://arxiv.org/abs/1612.02295",
        tags=("classification",),
    )


class SphereFaceLoss(_MultipliedAngle, losses.SphereFaceLoss):  # type: ignore[misc]
    """pytorch-metric-learning's SphereFace: large-margin softmax with weights of norm 1."""

    info = ComponentInfo(
        summary="SphereFace: large-margin softmax with normalised class weights",
        citation="https://arxiv.org/abs/1704.08063",
        tags=("classification",),
    )
