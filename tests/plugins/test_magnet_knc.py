"""k nearest clusters against a loop over the definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlbench_magnet import KNearestClusters, cluster_classes


def by_hand(points, labels, clusters_per_class, nearest):
    """The definition of the README, item by item; k-means alone is shared."""
    seen, half = {}, []
    for label in labels:
        half.append(seen.get(label, 0) % 2)
        seen[label] = seen.get(label, 0) + 1
    right = []
    for queried in (0, 1):
        others = [j for j in range(len(points)) if half[j] != queried]
        clusters = clusters_of(points, labels, others, clusters_per_class)
        total = sum(float(np.sum((points[j] - mean) ** 2)) for mean, _, members in clusters for j in members)
        variance = total / (len(others) - 1)
        for i in range(len(points)):
            if half[i] == queried and labels[i] in [labels[j] for j in others]:
                right.append(class_by_votes(points[i], clusters, variance, nearest) == labels[i])
    return sum(right) / len(right)


def clusters_of(points, labels, items, clusters_per_class):
    """Mean, class and members of every cluster of ``items``."""
    assignment = cluster_classes(points[items], labels[items], clusters_per_class).assignment.tolist()
    found = []
    for cluster in sorted(set(assignment)):
        members = [item for item, assigned in zip(items, assignment, strict=True) if assigned == cluster]
        found.append((np.mean(points[members], axis=0), labels[members[0]], members))
    return found


def class_by_votes(point, clusters, variance, nearest):
    distances = [float(np.sum((point - mean) ** 2)) for mean, _, _ in clusters]
    votes = {}
    for k in sorted(range(len(clusters)), key=lambda k: (distances[k], k))[:nearest]:
        label = clusters[k][1]
        votes[label] = votes.get(label, 0.0) + math.exp(-distances[k] / (2 * variance))
    return max(sorted(votes), key=votes.__getitem__)


@st.composite
def cases(draw):
    # Eight of one class: its clusters have some width in both halves.
    sizes = [8, *draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))]
    labels = np.repeat(np.arange(len(sizes)) * 3 - 2, sizes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = generator.permutation(labels)
    points = generator.standard_normal((20, 3))[labels] + draw(st.sampled_from([0.3, 1.0])) * generator.standard_normal(
        (len(labels), 3)
    )
    return points, labels, draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 5, 128]))


@settings(max_examples=20, deadline=None)
@given(cases())
def test_agrees_with_the_definition(case):
    points, labels, clusters_per_class, nearest = case
    found = KNearestClusters(clusters_per_class, nearest)(torch.tensor(points), torch.tensor(labels))
    assert found == {"kNC": pytest.approx(by_hand(points, labels, clusters_per_class, nearest), abs=1e-12)}


def test_clusters_see_modes_that_a_class_mean_hides():
    # Two classes as a chequerboard: their means coincide.
    corners = {0: [(0, 0), (8, 8)], 1: [(0, 8), (8, 0)]}
    rows = [
        (x + dx / 10, y + dy / 10, label)
        for label, at in corners.items()
        for x, y in at
        for dx in (0, 1)
        for dy in (0, 1)
    ]
    points, labels = torch.tensor([row[:2] for row in rows]), torch.tensor([row[2] for row in rows])
    assert KNearestClusters(2, nearest=128)(points, labels) == {"kNC": 1.0}
    assert KNearestClusters(1, nearest=128)(points, labels)["kNC"] < 1.0


def test_equal_embeddings_and_lone_items_are_no_trouble():
    same = KNearestClusters()(torch.ones(8, 3), torch.tensor([4, 4, 4, 4, 7, 7, 7, 7]))
    assert same == {"kNC": 0.5}  # all ties go to the lowest class
    # The first item has only its own class to go to, the second is as far from both others, the third is left out.
    assert KNearestClusters()(torch.eye(3), torch.tensor([1, 1, 0])) == {"kNC": 0.5}
    with pytest.raises(ValueError, match="a class with two items"):
        KNearestClusters()(torch.eye(3), torch.tensor([0, 1, 2]))


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0)])
def test_senseless_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="must be at least 1"):
        KNearestClusters(*arguments)
