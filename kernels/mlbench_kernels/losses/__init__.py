"""Losses with the call signature of pytorch-metric-learning."""

from .proxy_heads import ProxyAnchorLoss, ProxyNCALoss
from .softmax_heads import ArcFaceLoss, CosFaceLoss, NormalizedSoftmaxLoss

__all__ = ["ArcFaceLoss", "CosFaceLoss", "NormalizedSoftmaxLoss", "ProxyAnchorLoss", "ProxyNCALoss"]
