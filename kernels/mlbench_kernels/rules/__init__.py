"""Mining rules: what the streaming engine keeps per anchor.

A rule is a few small functions on a state, written once in torch and once in Triton, side by side: `init` makes the
state of a block of anchors, `update` takes in one tile of distances, `finish` returns what the caller wants. The engine
brings the tiles, and only the pairs that the rule asked for.
"""

from .beyond import Beyond
from .distance_weighted import DistanceWeighted
from .extreme import Extreme
from .nearer import Nearer
from .rule import BaseRule, Rule, State, Tile
from .top_k import TopK

__all__ = ["BaseRule", "Beyond", "DistanceWeighted", "Extreme", "Nearer", "Rule", "State", "Tile", "TopK"]
