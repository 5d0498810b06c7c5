"""Mining functions: for each anchor, which references to train against."""

from .arguments import Options
from .batch_hard import BatchHard, batch_hard
from .distance_weighted import WeightedNegatives, distance_weighted
from .extremes import Mined, easy_negatives, easy_positives, hard_negatives, hard_positives
from .mine import mine
from .multi_similarity import MultiSimilarity, multi_similarity
from .semi_hard import SemiHard, semi_hard
from .top_k import MinedK, nearest_neighbours, top_k_negatives, top_k_positives

__all__ = [
    "BatchHard",
    "Mined",
    "MinedK",
    "MultiSimilarity",
    "Options",
    "SemiHard",
    "WeightedNegatives",
    "batch_hard",
    "distance_weighted",
    "easy_negatives",
    "easy_positives",
    "hard_negatives",
    "hard_positives",
    "mine",
    "multi_similarity",
    "nearest_neighbours",
    "semi_hard",
    "top_k_negatives",
    "top_k_positives",
]
