"""The drop-in miners return what those of pytorch-metric-learning return, as sets."""

import itertools

import pytest
import torch
from brute import data
from mlbench_kernels import miners as ours
from pytorch_metric_learning import miners as theirs

STRATEGIES = ["easy", "semihard", "hard", "all"]
ALLOWED = [
    pair
    for pair in itertools.product(STRATEGIES, repeat=2)
    if not ("semihard" in pair and set(pair) <= {"semihard", "all"})
]


def rows(*parts):
    return set(zip(*(part.tolist() for part in parts), strict=True))


def arguments(references, seed=0):
    return data(60, 16, 14, seed) + (data(50, 16, 18, seed + 1) if references else ())


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("strategies", ALLOWED, ids="-".join)
def test_batch_easy_hard(strategies, references):
    mined, expected = (module.BatchEasyHardMiner(*strategies)(*arguments(references)) for module in (ours, theirs))
    assert rows(*mined[:2]) == rows(*expected[:2])
    assert rows(*mined[2:]) == rows(*expected[2:])


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("strategies", ALLOWED, ids="-".join)
def test_batch_easy_hard_within_ranges(strategies, references):
    options = {"allowed_pos_range": (0.9, 1.4), "allowed_neg_range": (0.8, 1.2)}
    mined, expected = (
        module.BatchEasyHardMiner(*strategies, **options)(*arguments(references)) for module in (ours, theirs)
    )
    assert rows(*mined[:2]) == rows(*expected[:2])
    assert rows(*mined[2:]) == rows(*expected[2:])


def test_a_range_has_two_ordered_bounds():
    with pytest.raises(ValueError, match=r"allowed_neg_range: \(1.0, 0.5\); expected \(least, largest\), or None"):
        ours.BatchEasyHardMiner(allowed_neg_range=(1.0, 0.5))


@pytest.mark.parametrize("references", [False, True])
def test_distance_weighted_takes_the_anchors_of_theirs(references):
    batch = arguments(references)
    mined, expected = (module.DistanceWeightedMiner(nonzero_loss_cutoff=1.3)(*batch) for module in (ours, theirs))
    assert set(mined[0].tolist()) == set(expected[0].tolist())
    assert len(rows(*mined[:2])) == len(mined[0])


@pytest.mark.parametrize("references", [False, True])
def test_semi_hard_takes_the_hardest_of_their_semihard_triplets(references):
    batch = arguments(references)
    triplets = theirs.TripletMarginMiner(10, "semihard")(*batch)
    x, y = (torch.nn.functional.normalize(part) for part in (batch[0], batch[2 if references else 0]))
    hardest = {}
    for anchor, positive, negative in rows(*triplets):
        distance = float((x[anchor] - y[negative]).norm())
        hardest[anchor, positive] = min(hardest.get((anchor, positive), (9.0, -1)), (distance, negative))
    expected = {(*pair, negative) for pair, (_, negative) in hardest.items()}
    assert rows(*ours.SemiHardMiner()(*batch)) == expected


@pytest.mark.parametrize("references", [False, True])
def test_top_k_of_one_is_batch_hard_and_of_many_is_everything(references):
    batch = arguments(references)
    one, hard = ours.TopKMiner(1)(*batch), theirs.BatchEasyHardMiner("hard", "hard")(*batch)
    assert rows(*hard[:2]) <= rows(*one[:2])
    assert rows(*hard[2:]) <= rows(*one[2:])
    every, both = ours.TopKMiner(60)(*batch), theirs.BatchEasyHardMiner("all", "all")(*batch)
    assert rows(*every[:2]) == rows(*both[:2])
    assert rows(*every[2:]) == rows(*both[2:])


def test_a_distance_object_is_told_what_is_allowed():
    from pytorch_metric_learning.distances import SNRDistance

    with pytest.raises(ValueError, match=r"distance: SNRDistance\(\).* allowed are cosine, euclidean"):
        ours.BatchHardMiner(distance=SNRDistance())


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_multi_similarity(epsilon, references):
    mined, expected = (module.MultiSimilarityMiner(epsilon)(*arguments(references)) for module in (ours, theirs))
    assert rows(*mined[:2]) == rows(*expected[:2])
    assert rows(*mined[2:]) == rows(*expected[2:])


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("kind", ["all", "hard", "semihard", "easy"])
def test_triplet_margin(kind, references):
    mined, expected = (module.TripletMarginMiner(0.1, kind)(*arguments(references)) for module in (ours, theirs))
    assert rows(*mined) == rows(*expected)


def test_nothing_to_mine_is_an_empty_tuple_of_indices():
    x = torch.randn(4, 3)
    for miner in (ours.TripletMarginMiner(), ours.BatchEasyHardMiner(), ours.BatchHardMiner()):
        for labels in (torch.zeros(4, dtype=torch.int32), torch.arange(4)):
            assert all(len(part) == 0 and part.dtype == torch.int64 for part in miner(x, labels))


@pytest.mark.parametrize("pair", [("semihard", "semihard"), ("all", "semihard"), ("semihard", "all")], ids="-".join)
def test_semihard_needs_one_pick_on_the_other_side(pair):
    with pytest.raises(ValueError, match="'semihard' needs 'easy' or 'hard' on the other side"):
        ours.BatchEasyHardMiner(*pair)


def test_unknown_names_are_told_at_once():
    with pytest.raises(ValueError, match="type_of_triplets: 'soft' is unknown; allowed are all, easy, hard, semihard"):
        ours.TripletMarginMiner(type_of_triplets="soft")
    with pytest.raises(ValueError, match="neg_strategy: 'soft' is unknown"):
        ours.BatchEasyHardMiner(neg_strategy="soft")
