"""Miners with the call signature of pytorch-metric-learning."""

from .batch_easy_hard import BatchEasyHardMiner
from .batch_hard import BatchHardMiner
from .multi_similarity import MultiSimilarityMiner
from .triplet_margin import TripletMarginMiner

__all__ = ["BatchEasyHardMiner", "BatchHardMiner", "MultiSimilarityMiner", "TripletMarginMiner"]
