"""Declarations of classes that cannot make them themselves, because their packages do not know mlbench.

What those of pytorch-metric-learning are known to fail is behaviour of its release 2.9. Those of mlbench_kernels are
held to their counterparts there. Any other class says the same in its ``info``.
"""

from collections.abc import Mapping
from typing import Any

from mlbench.api import ComponentInfo
from mlbench.registry import info_of

_PEER = "pytorch_metric_learning"
_FUSED_MINERS = ("BatchEasyHardMiner", "BatchHardMiner", "MultiSimilarityMiner", "TripletMarginMiner")
_FUSED_LOSSES = (
    "ArcFaceLoss",
    "ContrastiveLoss",
    "CosFaceLoss",
    "GeneralizedLiftedStructureLoss",
    "LiftedStructureLoss",
    "MultiSimilarityLoss",
    "NTXentLoss",
    "NormalizedSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyNCALoss",
    "SupConLoss",
    "TripletMarginLoss",
)
_BATCH_ONLY = "hands its losses only the batch; the call has no ref_emb"
_RANDOM = "samples at random, from torch's global generator"

#: By top-level package and class.
_KNOWN: Mapping[str, ComponentInfo] = {
    f"{_PEER}:CircleLoss": ComponentInfo(
        expected_failures={"numerical-gradient": "the weights of pairs are constants for the gradient, as in the paper"}
    ),
    f"{_PEER}:MultipleLosses": ComponentInfo(
        example={"losses": ["contrastive", {"id": "triplet-margin", "margin": 0.1}], "weights": [1.0, 0.5]},
        expected_failures={"reference-form": _BATCH_ONLY},
    ),
    f"{_PEER}:NPairsLoss": ComponentInfo(
        expected_failures={"sample-order": "takes the first positive pair of every class"}
    ),
    f"{_PEER}:NCALoss": ComponentInfo(
        expected_failures={"no-positives": "averages over samples with a positive; without any it is 0/0"}
    ),
    f"{_PEER}:RankedListLoss": ComponentInfo(example={"margin": 0.4, "Tn": 1.0}),
    f"{_PEER}:SignalToNoiseRatioContrastiveLoss": ComponentInfo(
        expected_failures={"zero-vectors": "divides by the variance of the anchor, which is 0 in a vector of zeros"}
    ),
    f"{_PEER}:ThresholdConsistentMarginLoss": ComponentInfo(
        expected_failures={"reference-form": "takes both sides of a pair from the batch, ignoring ref_emb"}
    ),
    f"{_PEER}:TupletMarginLoss": ComponentInfo(
        expected_failures={"equal-embeddings": "acos of a similarity that rounding puts above 1"}
    ),
    f"{_PEER}:DistanceWeightedMiner": ComponentInfo(
        expected_failures={
            "global-generators": _RANDOM,
            "class-names": "draws class after class, in the order of the labels",
        }
    ),
    f"{_PEER}:UniformHistogramMiner": ComponentInfo(expected_failures={"global-generators": _RANDOM}),
    "mlbench_kernels:DistanceWeightedMiner": ComponentInfo(
        expected_failures={"global-generators": "draws the seed of its samples from torch's global generator"}
    ),
    **{f"mlbench_kernels:{name}": ComponentInfo(reference=f"{_PEER}.miners:{name}") for name in _FUSED_MINERS},
    **{f"mlbench_kernels:{name}": ComponentInfo(reference=f"{_PEER}.losses:{name}") for name in _FUSED_LOSSES},
}


def declaration_of(component: type[Any]) -> ComponentInfo:
    """The component's ``info``, or what is known of a class that has none."""
    package = component.__module__.partition(".")[0]
    return _KNOWN.get(f"{package}:{component.__name__}", info_of(component))
