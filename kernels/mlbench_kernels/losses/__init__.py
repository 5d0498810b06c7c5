"""Losses with the call signature of pytorch-metric-learning, and pair losses of one's own."""

from .contrastive import ContrastiveLoss
from .lifted_structure import GeneralizedLiftedStructureLoss, LiftedStructureLoss
from .metric_loss import MetricLoss
from .multi_similarity import MultiSimilarityLoss
from .nt_xent import NTXentLoss
from .proxy_heads import ProxyAnchorLoss, ProxyNCALoss
from .softmax_heads import ArcFaceLoss, CosFaceLoss, NormalizedSoftmaxLoss
from .statistics import pair_loss
from .sup_con import SupConLoss
from .triplet_margin import MinedTripletLoss, TripletMarginLoss

__all__ = [
    "ArcFaceLoss",
    "ContrastiveLoss",
    "CosFaceLoss",
    "GeneralizedLiftedStructureLoss",
    "LiftedStructureLoss",
    "MetricLoss",
    "MinedTripletLoss",
    "MultiSimilarityLoss",
    "NTXentLoss",
    "NormalizedSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyNCALoss",
    "SupConLoss",
    "TripletMarginLoss",
    "pair_loss",
]
