"""The policy miner against a plain loop in float64, and as a stranger's plugin: found, configured and checked."""

import itertools

import numpy as np
import pytest
import torch
from mlbench_policies import PolicyMiner

from mlbench.api import ConfigError
from mlbench.registry import find, resolve
from mlbench.testing import check_component

POLICIES = list(itertools.product(("easy", "hard"), ("semi-hard", "hard")))


def reference(embeddings, labels, others, other_labels, positive, negative, margin, within):
    """The definitions of the README, read aloud."""
    left, right = (
        array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)
        for array in (np.asarray(embeddings, np.float64), np.asarray(others, np.float64))
    )
    triplets = []
    for a in range(len(left)):
        d = [float(np.sum((left[a] - right[j]) ** 2)) for j in range(len(right))]
        same = [j for j in range(len(right)) if other_labels[j] == labels[a] and not (within and j == a)]
        different = [j for j in range(len(right)) if other_labels[j] != labels[a]]
        if not same or not different:
            continue
        p = min(same, key=lambda j: (d[j] if positive == "easy" else -d[j], j))
        if negative == "hard":
            fitting = [j for j in different if d[j] < d[p]]
        else:
            fitting = [j for j in different if d[p] < d[j] < d[p] + margin]
        n = min(fitting or different, key=lambda j: (d[j], j))
        triplets.append((a, p, n))
    return triplets


def batch(seed, size=40, classes=6, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    centres = torch.randn(classes, 8, generator=generator, dtype=torch.float64)
    return centres[labels] + spread * torch.randn(size, 8, generator=generator, dtype=torch.float64), labels


@pytest.mark.parametrize(("positive", "negative"), POLICIES)
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_agrees_with_the_definitions(positive, negative, spread):
    for seed, margin in itertools.product(range(3), (0.05, 0.5)):
        embeddings, labels = batch(seed, spread=spread)
        mined = PolicyMiner(positive, negative, margin)(embeddings, labels)
        expected = reference(embeddings, labels, embeddings, labels, positive, negative, margin, within=True)
        assert list(zip(*(indices.tolist() for indices in mined), strict=True)) == expected


@pytest.mark.parametrize(("positive", "negative"), POLICIES)
def test_agrees_with_the_definitions_against_references(positive, negative):
    (embeddings, labels), (others, other_labels) = batch(0), batch(1, size=25)
    mined = PolicyMiner(positive, negative, 0.3)(embeddings, labels, others, other_labels)
    expected = reference(embeddings, labels, others, other_labels, positive, negative, 0.3, within=False)
    assert list(zip(*(indices.tolist() for indices in mined), strict=True)) == expected


def test_without_a_fitting_negative_the_nearest_is_taken():
    # d_ap = 2 for the first anchor; both negatives are nearer, so none is semi-hard.
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.5], [1.0, 0.1]])
    labels = torch.tensor([0, 0, 1, 2])
    anchors, positives, negatives = PolicyMiner("hard", "semi-hard", 0.5)(embeddings, labels)
    assert (anchors[0], positives[0], negatives[0]) == (0, 1, 3)


def test_copies_of_the_anchor_are_positives_and_ties_go_to_the_lowest_index():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1, 0, 0, 1])
    mined = PolicyMiner("easy", "hard")(embeddings, labels)
    assert [indices.tolist() for indices in mined] == [[0, 1, 2, 3, 4], [2, 4, 0, 0, 1], [1, 0, 1, 1, 0]]


@pytest.mark.parametrize("labels", [[3, 3, 3], [0, 1, 2]])
def test_no_positive_or_no_negative_gives_an_empty_result(labels):
    mined = PolicyMiner()(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor(labels))
    assert [len(indices) for indices in mined] == [0, 0, 0]


def test_scale_and_precision_of_the_embeddings_do_not_matter():
    embeddings, labels = batch(3)
    miner = PolicyMiner("hard", "semi-hard")
    expected = miner(embeddings, labels)
    scaled = miner(embeddings * torch.rand(40, 1, dtype=torch.float64).add(0.5), labels)
    assert all(torch.equal(first, second) for first, second in zip(scaled, expected, strict=True))
    assert all(indices.dtype == torch.int64 for indices in miner(embeddings.half(), labels))


@pytest.mark.parametrize(("positive", "negative"), POLICIES)
def test_conforms(positive, negative):
    arguments = {"positive": positive, "negative": negative, "margin": 0.2}
    check_component("miners", "mlbench-policies/policy", arguments, raise_on_failure=True)


def test_is_found_under_its_own_name_and_configured_strictly():
    assert find("miners", "policy").id == "mlbench-policies/policy"
    with pytest.raises(ConfigError, match=r"methods\[0\].miner.negative: .*got str 'semihard'"):
        resolve("miners", {"id": "policy", "negative": "semihard"}, "methods[0].miner")
    with pytest.raises(ConfigError, match=r"methods\[0\].miner: .*margin must be above 0"):
        resolve("miners", {"id": "policy", "margin": 0.0}, "methods[0].miner").build()


def test_half_a_reference_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        PolicyMiner()(torch.zeros(2, 2), torch.tensor([0, 1]), ref_emb=torch.zeros(2, 2))
