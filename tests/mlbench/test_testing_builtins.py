"""Every built-in loss and miner passes the conformance kit, apart from the failures declared and explained here."""

import pytest

from mlbench.registry import entries
from mlbench.testing import check_component

#: Arguments of losses that cannot be built without any.
LOSS_ARGUMENTS = {
    "cross-batch-memory": {"loss": "contrastive", "memory_size": 64},
    "multiple": {"losses": ["contrastive", {"id": "triplet-margin", "margin": 0.1}], "weights": [1.0, 0.5]},
    "ranked-list": {"margin": 0.4, "Tn": 1.0},
    "self-supervised": {"loss": "nt-xent"},
}
#: What is known to fail, and why. All of it is behaviour of pytorch-metric-learning 2.9.
LOSS_FAILURES = {
    "cross-batch-memory": {"reference-form": "the memory is its reference; the call has no ref_emb"},
    "instance": {
        "sample-order": "the rank of a label is used as the position of a sample in the batch",
        "class-names": "the rank of a label is used as the position of a sample in the batch",
    },
    "multiple": {"reference-form": "hands its losses only the batch; the call has no ref_emb"},
    "n-pairs": {"sample-order": "takes the first positive pair of every class"},
    "nca": {"no-positives": "averages over samples with a positive; without any it is 0/0"},
    "threshold-consistent-margin": {"reference-form": "takes both sides of a pair from the batch, ignoring ref_emb"},
    "tuplet-margin": {"equal-embeddings": "acos of a similarity that rounding puts above 1"},
}
MINER_FAILURES = {
    "distance-weighted": {"global-generators": "samples negatives at random, from torch's global generator"},
    "fused-distance-weighted": {"global-generators": "draws the seed of its samples from torch's global generator"},
    "uniform-histogram": {"global-generators": "samples pairs at random, from torch's global generator"},
}


def names(kind):
    return [entry.name for entry in entries(kind) if entry.distribution == "mlbench-dml"]


@pytest.mark.parametrize("name", names("losses"))
def test_loss_conforms(name):
    check_component(
        "losses",
        f"mlbench/{name}",
        LOSS_ARGUMENTS.get(name),
        expected_failures=LOSS_FAILURES.get(name),
        raise_on_failure=True,
    )


@pytest.mark.parametrize("name", names("miners"))
def test_miner_conforms(name):
    check_component("miners", f"mlbench/{name}", expected_failures=MINER_FAILURES.get(name), raise_on_failure=True)
