"""Magnet and pairwise loss against the papers' formulas in float64: values, and gradients by differences."""

import itertools
import math

import numpy as np
import pytest
import torch
from mlbench_magnet import InBatchMagnetLoss, MagnetLoss, PairwiseLoss

from mlbench.registry import resolve

#: Six clusters of unequal sizes in three classes, in no order.
LABELS = [0, 2, 0, 1, 0, 2, 1, 1, 0, 2, 2, 1, 0]
GROUPS = [5, 8, 5, 3, 9, 8, 3, 1, 9, 7, 7, 1, 5]


def points_of(seed, spread):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((3, 4))
    return centres[LABELS] + spread * generator.standard_normal((len(LABELS), 4))


def unit(points):
    return [point / math.sqrt(sum(x * x for x in point)) for point in points]


def squared(left, right):
    return sum((x - y) ** 2 for x, y in zip(left, right, strict=True))


def hinges(points, labels, groups, alpha, epsilon):
    """Equations 4 to 6 of the paper, sample by sample."""
    names = sorted(set(groups))
    means, class_of = {}, {}
    for name in names:
        members = [i for i in range(len(points)) if groups[i] == name]
        means[name] = sum(points[i] for i in members) / len(members)
        class_of[name] = labels[members[0]]
    variance = sum(squared(points[i], means[groups[i]]) for i in range(len(points))) / (len(points) - 1)
    found = []
    for i, point in enumerate(points):
        numerator = math.exp(-squared(point, means[groups[i]]) / (2 * variance) - alpha)
        others = [name for name in names if class_of[name] != labels[i]]
        denominator = epsilon + sum(math.exp(-squared(point, means[name]) / (2 * variance)) for name in others)
        found.append(max(0.0, -math.log(numerator / denominator)))
    return found


def magnet(points, labels, groups, alpha, epsilon):
    found = hinges(points, labels, groups, alpha, epsilon)
    return sum(found) / len(found)


def cluster_means(points, labels, groups, alpha, epsilon):
    found = hinges(points, labels, groups, alpha, epsilon)
    names = sorted(set(groups))
    return np.array([np.mean([h for h, g in zip(found, groups, strict=True) if g == name]) for name in names])


def pairwise(points, labels, margin):
    terms = []
    for i, j in itertools.combinations(range(len(points)), 2):
        distance = math.sqrt(squared(points[i], points[j]))
        terms.append(distance**2 / 2 if labels[i] == labels[j] else max(0.0, margin - distance) ** 2 / 2)
    return sum(terms) / len(terms)


def agrees(loss, reference, points, normalized, **arguments):
    """Value and gradient of ``loss`` are those of ``reference``, a function of plain rows."""
    embeddings = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    value = loss(embeddings, torch.tensor(LABELS), **arguments)
    value.backward()
    calculated = (lambda rows: reference(unit(rows))) if normalized else reference
    assert value.item() == pytest.approx(calculated(list(points)), rel=1e-10, abs=1e-12)
    differences = np.empty_like(points)
    for index in np.ndindex(points.shape):
        sides = []
        for step in (1e-6, -1e-6):
            moved = points.copy()
            moved[index] += step
            sides.append(calculated(list(moved)))
        differences[index] = (sides[0] - sides[1]) / 2e-6
    np.testing.assert_allclose(embeddings.grad.numpy(), differences, rtol=1e-5, atol=1e-8)
    return value.item()


CASES = list(itertools.product((0.1, 1.0), (0.0, 1.0, 6.0), (True, False)))


@pytest.mark.parametrize(("spread", "alpha", "normalized"), CASES)
@pytest.mark.parametrize("groups", [GROUPS, LABELS], ids=["clusters", "classes"])
def test_magnet_is_the_papers_formula(spread, alpha, normalized, groups):
    loss = MagnetLoss(alpha, epsilon=1e-3, normalize_embeddings=normalized)
    given = {} if groups is LABELS else {"groups": torch.tensor(groups)}
    agrees(loss, lambda rows: magnet(rows, LABELS, groups, alpha, 1e-3), points_of(0, spread), normalized, **given)


@pytest.mark.parametrize(("spread", "alpha", "normalized"), CASES)
def test_the_simplified_form_weights_clusters_by_their_loss(spread, alpha, normalized):
    points = points_of(1, spread)
    base = cluster_means(unit(points) if normalized else list(points), LABELS, GROUPS, alpha, 1e-3)
    weights = base / base.sum() if base.sum() else base  # constants to the gradient

    def reference(rows):
        return float(weights @ cluster_means(rows, LABELS, GROUPS, alpha, 1e-3))

    loss = InBatchMagnetLoss(alpha, epsilon=1e-3, normalize_embeddings=normalized)
    agrees(loss, reference, points, normalized, groups=torch.tensor(GROUPS))


@pytest.mark.parametrize(("margin", "normalized"), [*itertools.product((0.2, 1.0, 3.0), (True, False))])
def test_pairwise_is_the_formula(margin, normalized):
    loss = PairwiseLoss(margin, normalize_embeddings=normalized)
    assert agrees(loss, lambda rows: pairwise(rows, LABELS, margin), points_of(2, 0.5), normalized) > 0


def test_clusters_of_one_class_do_not_repel_each_other():
    # Two clusters in the same place and one far away: where the two are of different classes, their hinge is alpha.
    points = torch.tensor([[0.0, 0.1], [0.0, -0.1], [9.0, 0.1], [9.0, -0.1], [0.0, 0.1], [0.0, -0.1]])
    loss, groups = MagnetLoss(alpha=1.5, normalize_embeddings=False), torch.tensor([0, 0, 1, 1, 2, 2])
    assert loss(points, torch.tensor([0, 0, 1, 1, 0, 0]), groups=groups) == 0
    assert loss(points, torch.tensor([0, 0, 1, 1, 2, 2]), groups=groups).item() == pytest.approx(1.5 * 4 / 6)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("form", [MagnetLoss, InBatchMagnetLoss])
def test_the_scale_of_the_embeddings_does_not_matter_even_unnormalised(form, scale):
    # 1/(2σ⁴) in place of 1/(2σ²) would depend on it.
    points, labels, groups = torch.tensor(points_of(3, 1.0)), torch.tensor(LABELS), torch.tensor(GROUPS)
    loss = form(alpha=4.0, normalize_embeddings=False)
    expected = loss(points, labels, groups=groups).item()
    assert expected > 0.1 and loss(points * scale, labels, groups=groups).item() == pytest.approx(expected, rel=1e-9)


def test_what_the_losses_cannot_use_is_refused():
    points, labels = torch.tensor(points_of(0, 1.0)), torch.tensor(LABELS)
    for loss in (MagnetLoss(), InBatchMagnetLoss()):
        with pytest.raises(ValueError, match="leave the miner out"):
            loss(points, labels, (labels, labels, labels))
        with pytest.raises(ValueError, match="no form with ref_emb"):
            loss(points, labels, ref_emb=points, ref_labels=labels)
        with pytest.raises(ValueError, match="one of them has samples of two classes"):
            loss(points, labels, groups=torch.zeros_like(labels))


@pytest.mark.parametrize(
    ("name", "argument", "reason"),
    [("magnet", {"alpha": -1.0}, "alpha must be"), ("magnet-in-batch", {"epsilon": 0.0}, "epsilon above 0"),
     ("pairwise", {"margin": 0.0}, "margin must be above 0")],
)  # fmt: skip
def test_senseless_arguments_are_refused(name, argument, reason):
    with pytest.raises(Exception, match=f"methods\\[0\\].loss: .*{reason}"):
        resolve("losses", {"id": f"mlbench-magnet/{name}", **argument}, "methods[0].loss").build()
