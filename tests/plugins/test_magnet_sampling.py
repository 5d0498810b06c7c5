"""The cluster index and what is drawn from it."""

import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlbench_magnet import ClusterSampler, NeighbourhoodSampler, cluster_classes
from mlbench_magnet.neighbourhood import cluster_losses

from mlbench.api import ConfigError, RefreshedSampler


def data(seed=0, classes=9, per_class=8, modes=2):
    """Points of classes that have ``modes`` well separated modes each, in no order."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(classes) * 2 + 1, per_class))
    centres = 10 * generator.standard_normal((2 * classes + 1, modes, 5))
    mode = generator.integers(modes, size=len(labels))
    return centres[labels, mode] + 0.1 * generator.standard_normal((len(labels), 5)), labels, mode


def drawn(sampler, labels, count, seed=0):
    return list(islice(sampler.batches(labels, seed), count))


def refreshed(sampler, points, labels):
    sampler.refresh(points.astype(np.float32), labels)
    return sampler


# -- the index -------------------------------------------------------------------------------------------------------


def test_clusters_are_the_modes_of_each_class():
    points, labels, mode = data()
    index = cluster_classes(points, labels, per_class=2)
    together = index.assignment[:, None] == index.assignment[None, :]
    expected = (labels[:, None] == labels[None, :]) & (mode[:, None] == mode[None, :])
    assert np.array_equal(together, expected)
    assert np.array_equal(index.classes[index.assignment], labels)
    for cluster, centre in enumerate(index.centres):
        np.testing.assert_allclose(centre, points[index.assignment == cluster].mean(axis=0))
    spread = sum(float(np.sum((p - index.centres[c]) ** 2)) for p, c in zip(points, index.assignment, strict=True))
    assert index.variance == pytest.approx(spread / (len(points) - 1))


def test_a_class_has_no_more_clusters_than_distinct_points():
    index = cluster_classes([[0.0]] * 5 + [[1.0], [2.0]], [0] * 5 + [1, 1], per_class=3)
    assert index.classes.tolist() == [0, 1, 1]


def test_the_index_is_a_function_of_its_arguments():
    points, labels, _ = data(modes=4)
    np.random.seed(1)
    first = cluster_classes(points, labels, 3)
    np.random.seed(2)
    assert np.array_equal(first.assignment, cluster_classes(points, labels, 3).assignment)


# -- batches ---------------------------------------------------------------------------------------------------------


@st.composite
def cases(draw):
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=8))
    labels = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.repeat(np.arange(len(sizes)), sizes))
    clusters, samples = draw(st.integers(2, len(sizes))), draw(st.integers(1, 5))
    return labels, {"batch_size": clusters * samples, "clusters_per_batch": clusters}, draw(st.integers(1, 3))


@settings(max_examples=30, deadline=None)
@given(cases(), st.sampled_from([ClusterSampler, NeighbourhoodSampler]), st.booleans())
def test_a_batch_is_equally_many_samples_of_distinct_clusters(case, kind, shown):
    labels, sizes, per_class = case
    points = np.random.default_rng(1).standard_normal((len(labels), 3))
    sampler = kind(**sizes, clusters_per_class=per_class)
    if shown:
        refreshed(sampler, points, labels)
    samples = sizes["batch_size"] // sizes["clusters_per_batch"]
    for batch in drawn(sampler, labels, 5):
        assert batch.indices.dtype == batch.groups.dtype == np.int64 and len(batch.indices) == sizes["batch_size"]
        assert set(Counter(batch.groups.tolist()).values()) == {samples}
        assert len(set(batch.groups.tolist())) == sizes["clusters_per_batch"]
        for group in set(batch.groups.tolist()):
            assert len(set(labels[batch.indices[batch.groups == group]].tolist())) == 1


def test_samples_are_of_the_cluster_and_distinct_while_it_has_enough():
    points, labels, _ = data(per_class=12)
    sampler = refreshed(NeighbourhoodSampler(12, 4, normalize_embeddings=False), points, labels)
    assignment = cluster_classes(points.astype(np.float32), labels, 2).assignment
    sizes = Counter(assignment.tolist())
    for batch in drawn(sampler, labels, 30):
        assert np.array_equal(assignment[batch.indices], batch.groups)
        for group in set(batch.groups.tolist()):
            members = batch.indices[batch.groups == group].tolist()
            assert len(set(members)) == len(members) or sizes[group] < 3


def test_a_neighbourhood_is_a_seed_and_its_nearest_clusters_of_other_classes():
    points, labels, _ = data(3)
    sampler = refreshed(NeighbourhoodSampler(10, 5, normalize_embeddings=False), points, labels)
    index = cluster_classes(points.astype(np.float32), labels, 2)
    seeds = set()
    for batch in drawn(sampler, labels, 60):
        seed, *impostors = batch.groups[::2].tolist()
        seeds.add(seed)
        others = [c for c in range(len(index.classes)) if index.classes[c] != index.classes[seed]]
        others.sort(key=lambda c: (math.dist(index.centres[seed], index.centres[c]), c))
        assert impostors == others[:4]
    assert len(seeds) > 5


def test_seeds_are_drawn_in_proportion_to_the_mean_loss_of_their_cluster():
    points, labels, _ = data(4, classes=4, modes=1)
    points[labels == 3] = points[labels == 1] + 0.05  # two classes in one place, two on their own
    sampler = refreshed(NeighbourhoodSampler(4, 2, 1, alpha=1.0, normalize_embeddings=False), points, labels)
    index = cluster_classes(points.astype(np.float32), labels, 1)
    losses = []
    for cluster, label in enumerate(index.classes):
        terms = []
        for point in points.astype(np.float32).astype(np.float64)[index.assignment == cluster]:
            exponent = [-float(np.sum((point - centre) ** 2)) / (2 * index.variance) for centre in index.centres]
            others = sum(math.exp(e) for e, c in zip(exponent, index.classes, strict=True) if c != label)
            terms.append(max(0.0, 1.0 - exponent[cluster] + math.log(others)) if others else 0.0)
        losses.append(np.mean(terms))
    assert losses[0] > 0.5 and losses[1] > 0.5 and losses[2:] == [0.0, 0.0]
    np.testing.assert_allclose(cluster_losses(index, points.astype(np.float32).astype(np.float64), 1.0), losses)
    seeds = Counter(int(batch.groups[0]) for batch in drawn(sampler, labels, 1000))
    assert seeds[0] / 1000 == pytest.approx(losses[0] / sum(losses), abs=0.06) and seeds[0] + seeds[1] == 1000


def test_without_any_loss_every_cluster_is_a_seed():
    points, labels, _ = data(5, classes=4, modes=1)
    sampler = refreshed(NeighbourhoodSampler(4, 2, 1, normalize_embeddings=False), points, labels)
    assert {int(batch.groups[0]) for batch in drawn(sampler, labels, 100)} == {0, 1, 2, 3}


def test_uniform_draws_favour_no_cluster():
    points, labels, _ = data(6, classes=6)
    sampler = refreshed(ClusterSampler(6, 3, 2, normalize_embeddings=False), points, labels)
    seen = Counter(int(g) for batch in drawn(sampler, labels, 1000) for g in set(batch.groups.tolist()))
    assert len(seen) == 12 and all(count == pytest.approx(250, rel=0.2) for count in seen.values())


@pytest.mark.parametrize("kind", [ClusterSampler, NeighbourhoodSampler])
def test_batches_are_a_function_of_labels_seed_and_refreshes(kind):
    points, labels, _ = data(7)

    def stream(seed):
        sampler = kind(8, 4)
        batches, found = sampler.batches(labels, seed), []
        for scale in (1.0, -1.0, 0.5):
            sampler.refresh(points + scale, labels)
            found += islice(batches, 3)
        return np.stack([np.stack([batch.indices, batch.groups]) for batch in found])

    assert np.array_equal(stream(1), stream(1)) and not np.array_equal(stream(1), stream(2))


@pytest.mark.parametrize("kind", [ClusterSampler, NeighbourhoodSampler])
def test_a_batch_follows_the_latest_refresh(kind):
    points, labels, mode = data(8)
    sampler = kind(8, 4, normalize_embeddings=False)
    assert isinstance(sampler, RefreshedSampler) and sampler.refresh_every == 1
    batches = sampler.batches(labels, 0)
    next(batches)
    for shuffle in range(3):
        order = np.random.default_rng(shuffle).permutation(len(labels))
        sampler.refresh(points[order], labels[order])
        batch = next(batches)
        for group in set(batch.groups.tolist()):
            assert len(set(mode[order][batch.indices[batch.groups == group]].tolist())) == 1


@pytest.mark.parametrize(
    ("kind", "arguments", "reason"),
    [
        (ClusterSampler, (10, 4), "10 is not a multiple of clusters_per_batch 4"),
        (ClusterSampler, (8, 4, 0), "must be at least 1"),
        (NeighbourhoodSampler, (8, 1), "clusters_per_batch must be at least 2"),
        (NeighbourhoodSampler, (8, 4, 2, -1.0), "alpha at least 0"),
    ],
)
def test_senseless_arguments_are_refused(kind, arguments, reason):
    with pytest.raises(ConfigError, match=reason):
        kind(*arguments)


@pytest.mark.parametrize("kind", [ClusterSampler, NeighbourhoodSampler])
def test_too_few_classes_are_refused_at_once(kind):
    with pytest.raises(ConfigError, match="8 clusters needs as many classes, the training set has 3"):
        kind(16, 8).batches([0, 1, 2], 0)
