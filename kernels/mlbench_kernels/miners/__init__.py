"""Miners with the call signature of pytorch-metric-learning."""

from .batch_easy_hard import BatchEasyHardMiner
from .batch_hard import BatchHardMiner
from .distance_weighted import DistanceWeightedMiner
from .multi_similarity import MultiSimilarityMiner
from .semi_hard import SemiHardMiner
from .top_k import TopKMiner
from .triplet_margin import TripletMarginMiner

__all__ = [
    "BatchEasyHardMiner",
    "BatchHardMiner",
    "DistanceWeightedMiner",
    "MultiSimilarityMiner",
    "SemiHardMiner",
    "TopKMiner",
    "TripletMarginMiner",
]
