"""What classes that cannot declare it themselves need, and are known to fail: those of pytorch-metric-learning.

All of it is behaviour of its release 2.9. A class of our own says the same in its ``info``.
"""

from collections.abc import Mapping
from typing import Any

from mlbench.api import ComponentInfo
from mlbench.registry import info_of

_BATCH_ONLY = "hands its losses only the batch; the call has no ref_emb"
_RANDOM = "samples at random, from torch's global generator"

_KNOWN: Mapping[str, ComponentInfo] = {
    "CircleLoss": ComponentInfo(
        expected_failures={"numerical-gradient": "the weights of pairs are constants for the gradient, as in the paper"}
    ),
    "MultipleLosses": ComponentInfo(
        example={"losses": ["contrastive", {"id": "triplet-margin", "margin": 0.1}], "weights": [1.0, 0.5]},
        expected_failures={"reference-form": _BATCH_ONLY},
    ),
    "NPairsLoss": ComponentInfo(expected_failures={"sample-order": "takes the first positive pair of every class"}),
    "NCALoss": ComponentInfo(
        expected_failures={"no-positives": "averages over samples with a positive; without any it is 0/0"}
    ),
    "RankedListLoss": ComponentInfo(example={"margin": 0.4, "Tn": 1.0}),
    "SignalToNoiseRatioContrastiveLoss": ComponentInfo(
        expected_failures={"zero-vectors": "divides by the variance of the anchor, which is 0 in a vector of zeros"}
    ),
    "ThresholdConsistentMarginLoss": ComponentInfo(
        expected_failures={"reference-form": "takes both sides of a pair from the batch, ignoring ref_emb"}
    ),
    "TupletMarginLoss": ComponentInfo(
        expected_failures={"equal-embeddings": "acos of a similarity that rounding puts above 1"}
    ),
    "DistanceWeightedMiner": ComponentInfo(
        expected_failures={
            "global-generators": _RANDOM,
            "class-names": "draws class after class, in the order of the labels",
        }
    ),
    "UniformHistogramMiner": ComponentInfo(expected_failures={"global-generators": _RANDOM}),
}


def declaration_of(component: type[Any]) -> ComponentInfo:
    """The component's ``info``; for a class of pytorch-metric-learning, what is known of it."""
    if component.__module__.startswith("pytorch_metric_learning."):
        return _KNOWN.get(component.__name__, info_of(component))
    return info_of(component)
