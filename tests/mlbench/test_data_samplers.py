import json
from collections import Counter
from collections.abc import Iterable
from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.samplers import HierarchicalSampler as PeerHierarchical
from torch.utils.data import DataLoader, TensorDataset

from mlbench.api import GroupedBatch, ResumableBatches
from mlbench.api.errors import ConfigError
from mlbench.data import Hierarchical, MPerClass, RankBatches, batches_of


def batches(sampler: MPerClass, labels: np.ndarray, seed: int, count: int) -> list[np.ndarray]:
    return list(islice(sampler.batches(labels, seed), count))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, int, int, int]:
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=12))
    per_batch = draw(st.integers(1, len(sizes)))
    labels = np.repeat(np.arange(len(sizes)) * 3 - 5, sizes)
    seed = draw(st.integers(0, 2**32))
    return np.random.default_rng(seed).permutation(labels), per_batch, draw(st.integers(1, 5)), seed


@given(cases())
def test_a_batch_is_m_samples_of_distinct_classes(case: tuple[np.ndarray, int, int, int]) -> None:
    labels, per_batch, m, seed = case
    sizes = Counter(labels.tolist())
    for batch in batches(MPerClass(per_batch * m, m), labels, seed, 20):
        assert batch.dtype == np.int64 and batch.shape == (per_batch * m,)
        groups = labels[batch].reshape(per_batch, m)
        assert np.all(groups == groups[:, :1])
        assert len(set(groups[:, 0].tolist())) == per_batch
        for label, samples in zip(groups[:, 0].tolist(), batch.reshape(per_batch, m).tolist(), strict=True):
            assert sizes[label] < m or len(set(samples)) == m


@given(cases())
def test_all_classes_are_seen_equally_at_any_time(case: tuple[np.ndarray, int, int, int]) -> None:
    labels, per_batch, m, seed = case
    visits = Counter(dict.fromkeys(labels.tolist(), 0))
    for batch in batches(MPerClass(per_batch * m, m), labels, seed, 30):
        visits.update(labels[batch][::m].tolist())
        assert max(visits.values()) - min(visits.values()) <= 1


@given(cases())
def test_batches_are_a_pure_function_of_labels_and_seed(case: tuple[np.ndarray, int, int, int]) -> None:
    labels, per_batch, m, seed = case
    sampler = MPerClass(per_batch * m, m)
    np.random.seed(1)
    first = batches(sampler, labels, seed, 10)
    np.random.seed(2)
    assert all(map(np.array_equal, first, batches(sampler, labels.tolist(), seed, 10)))


def test_seeds_differ() -> None:
    labels = np.repeat(np.arange(20), 10)
    one, other = (np.stack(batches(MPerClass(8, 2), labels, seed, 5)) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_every_sample_of_a_class_has_the_same_chance() -> None:
    labels = np.repeat([0, 1], [10, 3])
    seen = Counter(np.concatenate(batches(MPerClass(8, 4), labels, 0, 2000)).tolist())
    for sample in range(10):  # Without replacement: 4 of 10.
        assert seen[sample] == pytest.approx(800, rel=0.15)
    for sample in range(10, 13):  # With replacement: 4 draws among 3.
        assert seen[sample] == pytest.approx(2667, rel=0.1)


def test_a_pass_has_no_fixed_order() -> None:
    firsts = {tuple(batch.tolist()) for batch in batches(MPerClass(4, 1), np.arange(4), 0, 200)}
    assert len(firsts) == 24


@pytest.mark.parametrize(("size", "m"), [(32, 5), (2, 4), (0, 1), (8, 0), (-4, 2)])
def test_a_batch_that_does_not_divide_is_refused(size: int, m: int) -> None:
    with pytest.raises(ConfigError, match=f"batch_size {size} is not a positive multiple of samples_per_class {m};"):
        MPerClass(size, m)


def test_too_few_classes_are_refused_at_once() -> None:
    labels = np.repeat(np.arange(5), 10)
    with pytest.raises(ConfigError, match=r"32 with 4 per class needs 8 classes, .* has 5; .* at most 20"):
        MPerClass(32, 4).batches(labels, 0)
    with pytest.raises(ConfigError, match="the training set has 0"):
        MPerClass(4, 4).batches([], 0)


def test_the_stream_of_records_that_there_are_is_pinned() -> None:
    # What the first release drew. If this changes, so must the sampler's version: older records could not be repeated.
    drawn = np.stack(batches(MPerClass(4, 2), np.repeat(np.arange(5), [1, 2, 3, 4, 5]), 7, 6)).tolist()
    assert drawn[:3] == [[3, 4, 0, 0], [10, 14, 2, 1], [6, 9, 13, 14]]
    assert drawn[3:] == [[9, 7, 2, 1], [3, 5, 0, 0], [1, 2, 10, 12]]


# -- saved and shared ------------------------------------------------------------------------------------------------


@given(cases(), st.integers(0, 25))
def test_a_saved_stream_goes_on_as_if_it_had_never_stopped(case: tuple[np.ndarray, int, int, int], drawn: int) -> None:
    labels, per_batch, m, seed = case
    sampler = MPerClass(per_batch * m, m)
    whole = sampler.batches(labels, seed)
    for _ in range(drawn):
        next(whole)
    assert isinstance(whole, ResumableBatches)
    state = json.loads(json.dumps(whole.state_dict()))
    assert len(state["queue"]) <= len(set(labels.tolist()))
    again = sampler.batches(labels, seed + 1)  # whatever it was before
    again.load_state_dict(state)
    assert all(np.array_equal(next(whole), next(again)) for _ in range(10))


@given(cases(), st.integers(1, 4), st.integers(0, 5))
def test_the_ranks_of_a_training_draw_together_what_one_process_draws(
    case: tuple[np.ndarray, int, int, int], world_size: int, drawn: int
) -> None:
    labels, per_batch, m, seed = case
    sampler = MPerClass(world_size * m * (1 + (per_batch - 1) // world_size), m)
    labels = np.concatenate([labels, np.arange(100, 104)])  # classes enough for one more in a batch of every rank
    whole = sampler.batches(labels, seed)
    ranks = [RankBatches(sampler.batches(labels, seed), rank, world_size) for rank in range(world_size)]
    for _ in range(drawn):
        assert next(whole).tolist() == [index for rank in ranks for index in next(rank).tolist()]
    states = [rank.state_dict() for rank in ranks]
    assert all(state == whole.state_dict() for state in states)
    again = RankBatches(sampler.batches(labels, seed + 1), world_size - 1, world_size)
    again.load_state_dict(states[0])
    share = next(again)
    assert np.array_equal(share, next(whole)[-len(share) :])
    assert np.array_equal(np.unique(labels[share], return_counts=True)[1] % m, [0] * len(set(labels[share].tolist())))


def test_groups_are_shared_with_their_samples() -> None:
    stream = iter([GroupedBatch(np.arange(6), np.arange(6) // 2)])
    part = next(RankBatches(stream, 2, 3))
    assert isinstance(part, GroupedBatch) and part.indices.tolist() == [4, 5] and part.groups.tolist() == [2, 2]


def test_what_cannot_be_shared_or_saved_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rank 2 is none of 0\.\.1"):
        RankBatches(iter([]), 2, 2)
    with pytest.raises(ConfigError, match="a batch of 6 cannot be shared by 4 ranks; change batch_size"):
        next(RankBatches(iter([np.arange(6)]), 0, 4))
    with pytest.raises(ConfigError, match="has no state_dict"):
        RankBatches(iter([]), 0, 1).state_dict()


def test_a_stream_is_a_batch_sampler_of_torch() -> None:
    labels = np.repeat(np.arange(6), 5)
    loader = DataLoader(TensorDataset(torch.from_numpy(labels)), batch_sampler=MPerClass(6, 3).batches(labels, 0))
    expected = batches(MPerClass(6, 3), labels, 0, 4)
    for (found,), batch in zip(loader, expected, strict=False):
        assert found.tolist() == labels[batch].tolist()


# -- superclasses ----------------------------------------------------------------------------------------------------


@st.composite
def families(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Hierarchical, int]:
    """Labels, superclasses, a sampler whose batches they can always fill, and a seed."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))  # classes of each superclass
    together = draw(st.integers(1, len(sizes)))
    most = sum(sorted(sizes)[:together]) // together
    m, seed = draw(st.integers(1, 3)), draw(st.integers(0, 2**32))
    above = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(above)), rng.integers(1, 5, len(above)))
    labels = rng.permutation(labels)
    sampler = Hierarchical(draw(st.integers(1, most)) * together * m, m, together)
    return labels, above[labels] * 7 - 3, sampler, seed


@given(families())
def test_a_batch_is_classes_of_a_few_superclasses(case: tuple[np.ndarray, np.ndarray, Hierarchical, int]) -> None:
    labels, above, sampler, seed = case
    m, together = sampler.samples_per_class, sampler.superclasses_per_batch
    share = sampler.batch_size // m // together
    known = {family: len(set(labels[above == family].tolist())) for family in set(above.tolist())}
    visits = Counter(dict.fromkeys(known, 0))
    for batch in islice(sampler.batches(labels, seed, superclasses=above), 20):
        assert batch.dtype == np.int64 and batch.shape == (sampler.batch_size,)
        drawn = labels[batch].reshape(-1, m)
        assert np.all(drawn == drawn[:, :1]) and len(set(drawn[:, 0].tolist())) == len(drawn)
        counts = Counter(above[batch][::m].tolist())
        assert len(counts) == together
        # Equally many of each, unless one has too few.
        assert all(counts[family] >= min(share, known[family]) for family in counts)
        if min(known[family] for family in counts) >= share:
            assert set(counts.values()) == {share}
        visits.update(counts.keys())
        assert max(visits.values()) - min(visits.values()) <= 1


def test_batches_are_those_of_pytorch_metric_learning_in_kind() -> None:
    labels = np.repeat(np.arange(24), 6)
    above = labels // 6
    theirs = PeerHierarchical(np.stack([labels, above], 1), batch_size=16, samples_per_class=4)
    ours = Hierarchical(16, 4).batches(labels, 0, superclasses=above)

    def kinds(stream: Iterable[npt.ArrayLike]) -> set[tuple[tuple[int, ...], ...]]:
        """How many samples of each class, and classes of each superclass, a batch has; which pairs there are."""
        found = set()
        for batch in map(np.asarray, stream):
            sizes = tuple(sorted(Counter(labels[batch].tolist()).values()))
            pair = tuple(sorted({int(family) for family in above[batch]}))
            found.add((sizes, pair))
        return found

    assert kinds(islice(ours, 300)) == kinds(theirs)


def test_a_hierarchical_stream_goes_on_too() -> None:
    labels = np.repeat(np.arange(12), 4)
    whole = Hierarchical(8, 2).batches(labels, 5, superclasses=labels % 3)
    for _ in range(4):
        next(whole)
    again = Hierarchical(8, 2).batches(labels, 6, superclasses=labels % 3)
    again.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert all(np.array_equal(next(whole), next(again)) for _ in range(10))


def test_superclasses_that_cannot_fill_a_batch_are_refused_at_once() -> None:
    labels = np.arange(6)
    with pytest.raises(
        ConfigError, match="batch_size 12 is not a positive multiple of samples_per_class 4 times super"
    ):
        Hierarchical(12, 4)
    with pytest.raises(ConfigError, match=r"needs 2 superclasses with 2 classes together; .* has 1,"):
        Hierarchical(8, 4).batches(labels, 0, superclasses=[0] * 6)
    with pytest.raises(ConfigError, match=r"with 4 classes together; .* has 3, the smallest of which have 3; lower"):
        Hierarchical(16, 4).batches(labels, 0, superclasses=[0, 0, 0, 1, 2, 2])


def test_a_dataset_without_superclasses_is_told_so() -> None:
    with pytest.raises(ConfigError, match="Hierarchical needs superclasses, and this dataset has none"):
        batches_of(Hierarchical(8), np.arange(8), 0)
