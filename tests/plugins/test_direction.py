"""Direction regularisation: the paper's formulas as loops in float64, the plain losses at gamma 0, and as a plugin."""

import math
from pathlib import Path

import pytest
import torch
from mlbench_direction import DRMultiSimilarityLoss, DRProxyNCALoss, DRTripletMarginLoss, direction_cosines
from pytorch_metric_learning import distances, losses, miners, reducers
from torch.nn.functional import normalize

import mlbench
from mlbench.api import ConfigError
from mlbench.registry import find, info_of, load, resolve

GAMMAS = (0.3, 0.9)


def batch(seed=0, size=12, classes=3, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    centres = torch.randn(classes, 6, generator=generator, dtype=torch.float64)
    return centres[labels] + spread * torch.randn(size, 6, generator=generator, dtype=torch.float64), labels


def cosine(anchor, positive, negative):
    left, right = negative - anchor, positive - anchor
    return left @ right / (left.norm() * right.norm())


def triplet_reference(points, labels, margin, gamma):
    """The mean of the non-zero terms over all triplets."""
    unit, n = [row / row.norm() for row in points], range(len(points))
    terms = []
    for a in n:
        for p in (p for p in n if p != a and labels[p] == labels[a]):
            for q in (q for q in n if labels[q] != labels[a]):
                gap = (unit[a] - unit[p]).norm() - (unit[a] - unit[q]).norm()
                terms.append(gap + margin - gamma * cosine(unit[a], unit[p], unit[q]))
    positive = [term for term in terms if term > 0]
    return sum(positive) / len(positive)


def similarity_reference(points, labels, alpha, beta, base, gamma):
    unit, n = [row / row.norm() for row in points], range(len(points))
    terms = []
    for a in n:
        positives = [p for p in n if p != a and labels[p] == labels[a]]
        negatives = [q for q in n if labels[q] != labels[a]]
        hardest = min(positives, key=lambda p: float((unit[a] @ unit[p]).detach()), default=None)
        near = far = 1.0
        for p in positives:
            near = near + torch.exp(-alpha * (unit[a] @ unit[p] - base))
        for q in negatives:
            turn = 0.0 if hardest is None else cosine(unit[a], unit[hardest], unit[q])
            far = far + torch.exp(beta * (unit[a] @ unit[q] - base - gamma * turn))
        terms.append(torch.log(torch.as_tensor(near)) / alpha + torch.log(torch.as_tensor(far)) / beta)
    return sum(terms) / len(terms)


def proxy_reference(points, labels, proxies, scale, gamma):
    unit, own = [row / row.norm() for row in points], [row / row.norm() for row in proxies]
    terms = []
    for x, label in zip(unit, labels.tolist(), strict=True):
        nearest = torch.exp(-scale * (x - own[label]).pow(2).sum())
        total = nearest
        for c in (c for c in range(len(own)) if c != label):
            turn = cosine(x, own[label], own[c])
            total = total + torch.exp(-scale * ((x - own[c]).pow(2).sum() + gamma * turn))
        terms.append(-torch.log(nearest / total))
    return sum(terms) / len(terms)


def agree(loss, reference, points, *more):
    """Equal values, and equal gradients of the points and whatever else is given."""
    leaves = [points.requires_grad_(), *more]
    value, expected = loss(points), reference(points)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)
    found, right = torch.autograd.grad(value, leaves), torch.autograd.grad(expected, leaves)
    torch.testing.assert_close(found, right, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_triplet_agrees_with_its_formula(gamma):
    points, labels = batch(0)
    loss = DRTripletMarginLoss(margin=0.3, gamma=gamma)
    agree(lambda x: loss(x, labels), lambda x: triplet_reference(x, labels, 0.3, gamma), points)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_multi_similarity_agrees_with_its_formula(gamma):
    points, labels = batch(1)
    labels[0] = 9  # the only one of its class: no positive, no direction
    loss = DRMultiSimilarityLoss(alpha=2.0, beta=10.0, base=0.4, gamma=gamma)
    agree(lambda x: loss(x, labels), lambda x: similarity_reference(x, labels, 2.0, 10.0, 0.4, gamma), points)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_proxy_nca_agrees_with_its_formula(gamma):
    points, labels = batch(2)
    torch.manual_seed(0)
    loss = DRProxyNCALoss(num_classes=5, embedding_size=6, softmax_scale=3.0, gamma=gamma).double()
    reference = lambda x: proxy_reference(x, labels, loss.proxies, 3.0, gamma)  # noqa: E731
    agree(lambda x: loss(x, labels), reference, points, loss.proxies)


def plain_and_regularised():
    squared = distances.LpDistance(power=2)
    yield losses.TripletMarginLoss(0.2), DRTripletMarginLoss(0.2, gamma=0.0)
    yield (
        losses.TripletMarginLoss(0.2, smooth_loss=True, distance=squared, reducer=reducers.MeanReducer()),
        DRTripletMarginLoss(0.2, gamma=0.0, smooth_loss=True, distance=squared, reducer=reducers.MeanReducer()),
    )
    yield losses.MultiSimilarityLoss(), DRMultiSimilarityLoss(gamma=0.0)
    yield (
        losses.MultiSimilarityLoss(1, 5, distance=squared),
        DRMultiSimilarityLoss(1.0, 5.0, 0.5, 0.0, distance=squared),
    )
    for options in ({}, {"distance": distances.CosineSimilarity()}):
        plain, ours = losses.ProxyNCALoss(8, 6, **options), DRProxyNCALoss(8, 6, 1.0, 0.0, **options)
        ours.load_state_dict(plain.state_dict())
        yield plain, ours


@pytest.mark.parametrize("index", range(6))
def test_without_weight_it_is_the_plain_loss_to_the_last_bit(index):
    torch.manual_seed(index)
    plain, ours = list(plain_and_regularised())[index]
    points, labels = batch(index)
    points = torch.cat([points, points[:3]]).float().requires_grad_()  # copies too, between which there is no direction
    labels = torch.cat([labels, labels[:3]])
    mined = [None] if "proxies" in dict(ours.named_parameters()) else [None, miners.BatchHardMiner()(points, labels)]
    for pairs in mined:
        values = [loss(points, labels, pairs) for loss in (plain, ours)]
        assert torch.equal(*values)
        leaves = [[points, *loss.parameters()] for loss in (plain, ours)]
        gradients = [torch.autograd.grad(value, leaf) for value, leaf in zip(values, leaves, strict=True)]
        assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_the_direction_is_best_on_the_line_through_the_middle():
    """Negatives that see the pair under the same angle lie on an arc; of these, its middle has the largest cosines."""
    pair = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    around = torch.linspace(-0.4, math.pi + 0.4, 101, dtype=torch.float64)
    arc = torch.tensor([0.0, 0.5]) + math.hypot(1.0, 0.5) * torch.stack([around.cos(), around.sin()], 1)
    cosines = direction_cosines(pair, pair.flip(0)[:, None], arc)[:, 0].sum(0)
    assert int(cosines.argmax()) == 50
    half = math.atan2(1.0, 0.5) / 2  # half of the angle at the negative
    assert float(cosines[50]) == pytest.approx(2 * math.sin(half))


def test_equal_points_have_no_direction_and_finite_gradients():
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    cosines = direction_cosines(points, points.expand(3, -1, -1), points)
    assert not cosines[0, 1].any() and not cosines[0, :, 1].any()
    assert cosines[2, 0].tolist() == pytest.approx([1.0, 1.0, 0.0])
    cosines.sum().backward()
    assert points.grad.isfinite().all() and points.grad.abs().max() < 10


def test_directions_are_those_of_the_embeddings_that_the_distance_sees():
    points, labels = batch(3)
    for loss in (DRTripletMarginLoss(), DRMultiSimilarityLoss()):
        scale = 0.5 + torch.rand(len(points), 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(loss(points * scale, labels), loss(normalize(points), labels))


@pytest.mark.parametrize("loss", [DRTripletMarginLoss(0.3, 0.5), DRMultiSimilarityLoss(2.0, 10.0, 0.5, 0.5)])
def test_references_give_what_the_batch_gives_when_they_are_the_batch(loss):
    points, labels = batch(4)
    anchors, positives, negatives = miners.BatchHardMiner()(points, labels)
    within = loss(points, labels, (anchors, positives, negatives))
    across = loss(points, labels, (anchors, positives, negatives), ref_emb=points.clone(), ref_labels=labels)
    torch.testing.assert_close(within, across)


@pytest.mark.parametrize("name", ["dr-triplet", "dr-proxy-nca", "dr-multi-similarity"])
def test_says_what_to_search(name):
    assert "gamma" in info_of(load(find("losses", name))).space


def test_is_configured_strictly():
    with pytest.raises(ConfigError, match=r"loss.gama: unknown; did you mean gamma\?"):
        resolve("losses", {"id": "dr-triplet", "gama": 0.1}, "methods[0].loss")
    with pytest.raises(ConfigError, match=r"loss.swap: unknown"):
        resolve("losses", {"id": "dr-triplet", "swap": True}, "methods[0].loss")


def test_its_benchmark_runs(tmp_path, smallest):
    file = Path(__file__).parents[2] / "plugins/mlbench-direction/direction.toml"
    result = mlbench.run(file, overrides=smallest, store=tmp_path / "store")
    assert result.summary.failed == {} and len(result.leaderboard) == 7
