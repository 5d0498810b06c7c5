"""Distance-weighted sampling against exact float64 probabilities, and its independence of how the work is split."""

import sys

import pytest
import torch
from brute import data, pairwise, run_python
from mlbench_kernels import distance_weighted
from mlbench_kernels.miners import DistanceWeightedMiner
from mlbench_kernels.mining.distance_weighted import distance_weighted_op
from scipy.stats import chisquare


def probabilities(x, labels, y, reference_labels, cutoff=0.5, nonzero_loss_cutoff=1.4):
    """The inverse of the density of distances on the sphere, float64, `[N, M]`; a row of zeros where nothing may be."""
    n = x.shape[1]
    d = (2 * pairwise(x, y, "cosine")).clamp_min(0).sqrt().clamp_min(cutoff)
    log_density = (n - 2) * d.log() + (n - 3) / 2 * (1 - d.square() / 4).log()
    allowed = (labels[:, None] != reference_labels[None]) & (d < nonzero_loss_cutoff)
    weight = torch.where(allowed, -log_density, -torch.inf).softmax(dim=1)
    return weight.nan_to_num(0.0)


@pytest.mark.parametrize("dimension", [3, 16])
def test_negatives_come_as_often_as_their_weights_say(dimension):
    # One class of 90 anchors in one place, so that every pair of it draws from one distribution.
    x = torch.randn(12, dimension, generator=torch.Generator().manual_seed(0))
    x = torch.cat((x[:1].expand(90, -1), x[1:]))
    labels = torch.cat((torch.zeros(90), torch.arange(1, 12))).long()
    drawn = distance_weighted(x, labels, seed=7)
    expected = probabilities(x[:1], labels[:1], x, labels)[0]
    possible = expected > 0
    assert int(possible.sum()) >= 5, "the data make a poor test"
    count = torch.bincount(drawn.negative, minlength=len(x))
    assert (count[~possible] == 0).all()
    assert len(drawn.negative) == 90 * 89
    assert chisquare(count[possible], expected[possible] * len(drawn.negative)).pvalue > 0.001


def test_draws_are_independent_of_each_other():
    # Two equally likely negatives: which one an anchor's first pair gets says nothing of its second, or of its mirror.
    x = torch.eye(4)[[0] * 64 + [1, 2]].mul(0.3) + torch.eye(4)[3]
    labels = torch.tensor([0] * 64 + [1, 2])
    picks = distance_weighted(x, labels, seed=3).negative.view(64, 63) == 64
    for first, second in ((picks[:, 0], picks[:, 1]), (picks[::2].flatten(), picks[1::2].flatten())):
        table = torch.bincount(2 * first.long() + second.long(), minlength=4)
        assert chisquare(table).pvalue > 0.001


@pytest.mark.parametrize("references", [False, True])
def test_every_pair_gets_one_allowed_negative(references):
    x, labels = data(60, 8, 12)
    rectangle = data(50, 8, 15, seed=1) if references else ()
    y, reference_labels = rectangle or (x, labels)
    drawn = distance_weighted(x, labels, *rectangle, seed=1, cutoff=0.7, nonzero_loss_cutoff=1.2)
    same = labels[:, None] == reference_labels[None]
    pairs = (same if references else same.fill_diagonal_(False)).nonzero().tolist()
    assert torch.stack((drawn.anchor, drawn.positive), dim=1).tolist() == pairs
    allowed = probabilities(x, labels, y, reference_labels, 0.7, 1.2) > 0
    found = drawn.negative >= 0
    assert allowed[drawn.anchor[found], drawn.negative[found]].all()
    assert not allowed[drawn.anchor[~found]].any()


def test_the_seed_decides_and_the_tiling_does_not(monkeypatch):
    import mlbench_kernels.engine.blocked as blocked

    x, labels = data(90, 40, 9)
    whole, again, other = (distance_weighted(x, labels, seed=seed).negative for seed in (5, 5, 6))
    assert torch.equal(whole, again)
    assert (whole != other).float().mean() > 0.5
    assert torch.equal(distance_weighted(x, labels, seed=5, backend="reference").negative, whole)
    monkeypatch.setattr(blocked, "_ROWS", 17)
    monkeypatch.setattr(blocked, "_COLUMNS", 23)
    assert torch.equal(distance_weighted(x, labels, seed=5).negative, whole)


def test_many_dimensions_overflow_nothing():
    x, labels = data(40, 2048, 8)
    drawn = distance_weighted(x, labels, seed=0, nonzero_loss_cutoff=1.5)
    assert (drawn.negative >= 0).all()


@pytest.mark.parametrize("labels", [torch.zeros(6), torch.arange(6)], ids=["one class", "no pairs"])
def test_without_negatives_or_pairs_there_is_nothing(labels):
    x, _ = data(6, 4, 1)
    assert (distance_weighted(x, labels.long(), seed=0).negative == -1).all()
    assert all(len(part) == 0 for part in DistanceWeightedMiner()(x, labels.long()))


def test_the_miner_follows_the_global_seed():
    x, labels = data(60, 8, 6)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(DistanceWeightedMiner()(x, labels)[2].tolist())
    assert results[0] == results[1] != results[2]


def test_the_operator_is_registered_as_torch_expects():
    x, labels = data(20, 5, 4)
    torch.library.opcheck(distance_weighted_op, (x, labels, None, None, "cosine", "blocked", "ieee", 3, 0.5, 1.4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1.5}, "seed: 1.5; expected a whole number"),
        ({"seed": 1, "cutoff": 0.0}, "cutoff: 0.0; expected a positive distance"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        distance_weighted(*data(4, 3, 2), **options)


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_triton_draws_what_the_reference_draws_in_the_interpreter():
    code = """
from brute import data
from mlbench_kernels import distance_weighted
for rectangle in ((), data(40, 9, 12, seed=1)):
    ours, oracle = (
        distance_weighted(*data(50, 9, 15), *rectangle, seed=2, backend=name).negative
        for name in ("triton", "reference")
    )
    assert (ours != oracle).sum() <= 1, (ours, oracle)  # float32 logarithms may turn a near-tie
"""
    run_python(code, TRITON_INTERPRET="1")
