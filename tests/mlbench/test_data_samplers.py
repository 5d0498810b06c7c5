from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbench.api.errors import ConfigError
from mlbench.data.samplers import MPerClass


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
