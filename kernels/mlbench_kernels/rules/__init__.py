"""Mining rules: what the streaming engine keeps per anchor.

A rule is a few small functions on a state, written once in torch and once in Triton, side by side: `init` makes the
state of a block of anchors, `update` takes in one tile of distances, `finish` returns what the caller wants. The engine
brings the tiles, and only the pairs that the rule asked for.
"""

from .beyond import Beyond
from .distance_sum import DistanceSum
from .distance_weighted import DistanceWeighted
from .extreme import Extreme
from .hinge import Hinge
from .log_sum_exp import LogSumExp
from .nearer import Nearer
from .pair_loss import PairLoss
from .rule import BaseRule, Rule, State, Tile
from .softplus import Softplus
from .top_k import TopK
from .triplets import Triplets

__all__ = [
    "BaseRule",
    "Beyond",
    "DistanceSum",
    "DistanceWeighted",
    "Extreme",
    "Hinge",
    "LogSumExp",
    "Nearer",
    "PairLoss",
    "Rule",
    "Softplus",
    "State",
    "Tile",
    "TopK",
    "Triplets",
]
