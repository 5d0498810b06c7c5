"""The benchmark ``online-metric-learning``: every method is the published formula, in loops and float64, and runs."""

import pytest
import torch

import mlbench
from mlbench.api import ConfigError
from mlbench.protocols.recipe import resolve_method, with_parameters
from mlbench.registry import resolve
from mlbench.spec import load_benchmark

MARGIN = 0.4


def batch(seed=0, size=11, classes=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    centres = torch.randn(classes, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(size, 5, generator=generator, dtype=torch.float64)
    return (centres[labels] + 0.7 * noise).requires_grad_(), labels


def built(name, values, **context):
    """Loss and miner of a method of the benchmark, with these parameters."""
    method = next(method for method in load_benchmark("online-metric-learning").methods if method.name == name)
    parts = resolve_method(with_parameters(method, values), name)
    return parts["loss"].build(**context).double(), parts["miner"].build() if parts["miner"] else None


class Pairs:
    """Squared distances of L2-normalised embeddings, and who is whose positive and negative."""

    def __init__(self, points, labels):
        unit = [row / row.norm() for row in points]
        self.all = range(len(unit))
        self.squared = [[(unit[i] - unit[j]).pow(2).sum() for j in self.all] for i in self.all]
        self.positives = [[j for j in self.all if j != i and labels[j] == labels[i]] for i in self.all]
        self.negatives = [[j for j in self.all if labels[j] != labels[i]] for i in self.all]

    def triplets(self, negatives_of):
        d = self.squared
        terms = [
            torch.relu(d[a][p] - d[a][n] + MARGIN)
            for a in self.all
            for p in self.positives[a]
            for n in negatives_of(a, p)
        ]
        return sum(terms) / len(terms)

    def nearest(self, a, among):
        return min(among, key=lambda j: float(self.squared[a][j].detach()))


def contrastive(pairs):
    d = pairs.squared
    terms = [d[i][j] for i in pairs.all for j in pairs.positives[i] if i < j]
    terms += [torch.relu(MARGIN - d[i][j]) for i in pairs.all for j in pairs.negatives[i] if i < j]
    terms = [term for term in terms if term > 0]
    return sum(terms) / len(terms)


def hardest(pairs):
    return pairs.triplets(lambda a, p: [pairs.nearest(a, pairs.negatives[a])])


def semi_hard(pairs):
    def choose(a, p):
        farther = [n for n in pairs.negatives[a] if pairs.squared[a][n] > pairs.squared[a][p]]
        if farther:
            return [pairs.nearest(a, farther)]
        return [max(pairs.negatives[a], key=lambda n: float(pairs.squared[a][n].detach()))]

    return pairs.triplets(choose)


def every(pairs):
    return pairs.triplets(lambda a, p: pairs.negatives[a])


def lifted(pairs):
    terms = []
    for i in pairs.all:
        for j in (j for j in pairs.positives[i] if i < j):
            near = [torch.exp(MARGIN - pairs.squared[x][n].sqrt()) for x in (i, j) for n in pairs.negatives[x]]
            terms.append(torch.relu(torch.log(sum(near)) + pairs.squared[i][j].sqrt()).pow(2))
    return sum(terms) / (2 * len(terms))


@pytest.mark.parametrize(
    ("name", "path", "reference"),
    [
        ("Online contrastive", "loss.margin", contrastive),
        ("Triplet hardest", "loss.margin", hardest),
        ("Triplet semi-hard", "loss.margin", semi_hard),
        ("Triplet all", "loss.margin", every),
        ("Lifted structured", "loss.neg_margin", lifted),
    ],
)
def test_a_method_is_its_formula(name, path, reference):
    loss, miner = built(name, {path: MARGIN})
    for seed in range(2):
        points, labels = batch(seed)
        value = loss(points, labels, miner(points, labels) if miner else None)
        expected = reference(Pairs(points, labels))
        torch.testing.assert_close(value, expected, rtol=1e-8, atol=1e-10)
        gradients = [torch.autograd.grad(result, points)[0] for result in (value, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-9)


def test_proxy_nca_is_its_formula_and_its_proxies_are_learnt():
    torch.manual_seed(0)
    loss, _ = built("Proxy-NCA", {"loss.softmax_scale": 3.0}, num_classes=4, embedding_size=5)
    points, labels = batch()
    unit, proxies = ([row / row.norm() for row in rows] for rows in (points, loss.proxies))
    terms = []
    for x, y in zip(unit, labels.tolist(), strict=True):
        scores = [torch.exp(-3.0 * (x - proxy).pow(2).sum()) for proxy in proxies]
        terms.append(-torch.log(scores[y] / sum(scores[c] for c in range(4) if c != y)))
    value, expected = loss(points, labels), sum(terms) / len(terms)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)
    leaves = [points, loss.proxies]
    torch.testing.assert_close(torch.autograd.grad(value, leaves), torch.autograd.grad(expected, leaves))
    assert [name for name, parameter in loss.named_parameters() if parameter.requires_grad] == ["proxies"]


def test_proxy_nca_of_one_class_is_refused():
    with pytest.raises(ConfigError, match=r"loss: mlbench/original-proxy-nca .*num_classes must be at least 2, got 1"):
        resolve("losses", "original-proxy-nca", "loss").build(num_classes=1, embedding_size=4)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_contrastive_of_one_kind_of_pair_is_the_mean_over_that_kind(labels):
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
    loss = resolve("losses", {"id": "online-contrastive", "margin": 2.5}, "loss").build()
    squared = torch.tensor([2.0, 0.8, 0.4], dtype=torch.float64)
    expected = squared.mean() if labels[1] == 0 else (2.5 - squared).mean()
    torch.testing.assert_close(loss(points, torch.tensor(labels)), expected)


def test_the_benchmark_runs(tmp_path, smallest):
    result = mlbench.run("online-metric-learning", overrides=smallest, store=tmp_path / "store")
    assert result.summary.failed == {} and len(result.leaderboard) == 7
    assert (result.leaderboard.n == 1).all()
