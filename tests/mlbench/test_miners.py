"""Miners as components: built from tables, strict, and usable by losses."""

import pytest
import torch

from mlbench.api import ConfigError
from mlbench.registry import entries, resolve


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(32, 16, generator=generator).requires_grad_(), torch.arange(8).repeat_interleave(4)


def build(table):
    return resolve("miners", table, "methods[0].miner").build()


@pytest.mark.parametrize("name", [entry.name for entry in entries("miners") if entry.distribution == "mlbench-dml"])
@pytest.mark.parametrize("loss", ["contrastive", "triplet-margin", "normalized-softmax"])
def test_every_miner_feeds_pair_triplet_and_classification_losses(name, loss):
    embeddings, labels = batch()
    value = resolve("losses", loss, "loss").build(num_classes=8, embedding_size=16)(
        embeddings, labels, build(f"mlbench/{name}")(embeddings, labels)
    )
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("batch-hrad", r"methods\[0\].miner: unknown miner 'batch-hrad'; did you mean .*batch-hard"),
        ({"id": "multi-similarity", "epsilom": 0.1}, r"methods\[0\].miner.epsilom: unknown; did you mean epsilon\?"),
        ({"id": "multi-similarity", "epsilon": "0.1"}, r"methods\[0\].miner.epsilon: expected number, got str '0.1'"),
        # The plain class would silently mine all triplets.
        ({"id": "triplet-margin", "type_of_triplets": "semi-hard"}, r"type_of_triplets: .*'semihard'.*str 'semi-hard'"),
        ({"id": "batch-hard", "pos_strategy": "easy"}, r"methods\[0\].miner.pos_strategy: unknown"),
        ({"id": "batch-easy-hard", "pos_strategy": "hardest"}, r"mlbench/batch-easy-hard refuses .*pos_strategy"),
    ],
)
def test_mistakes_are_named_with_their_place(table, message):
    with pytest.raises(ConfigError, match="(?s)" + message):
        build(table)


def test_triplets_of_each_kind():
    embeddings, labels = batch()
    distances = torch.cdist(*[torch.nn.functional.normalize(embeddings)] * 2)
    counts = {}
    for kind in ("all", "hard", "semihard", "easy"):
        a, p, n = build({"id": "triplet-margin", "margin": 0.2, "type_of_triplets": kind})(embeddings, labels)
        counts[kind] = len(a)
        gap = distances[a, n] - distances[a, p]
        low, high = {"all": (-9, 0.2), "hard": (-9, 0), "semihard": (0, 0.2), "easy": (0.2, 9)}[kind]
        assert ((gap >= low - 1e-5) & (gap <= high + 1e-5)).all()
    assert counts["all"] == counts["hard"] + counts["semihard"]
    assert counts["all"] + counts["easy"] == 32 * 3 * 28


def test_distances_nest():
    embeddings, labels = batch()
    euclidean, cosine = (build({"id": "batch-hard", "distance": name})(embeddings, labels) for name in ("lp", "cosine"))
    # On normalised embeddings both order pairs alike.
    assert all(torch.equal(first, second) for first, second in zip(euclidean, cosine, strict=True))
