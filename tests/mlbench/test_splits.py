import dataclasses
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbench.api.errors import ConfigError, DataError
from mlbench.data.splits import ClassSplits, Fold, mlrc_splits

# "A Metric Learning Reality Check", as run by its own split manager: classes -> sizes (train, val, test), validation
# ranges (first, last) of folds 0..3, classes that no fold validates on.
PUBLISHED = {
    200: ((75, 25, 100), [(75, 99), (0, 24), (25, 49), (50, 74)], []),
    196: ((74, 24, 98), [(74, 97), (0, 23), (25, 48), (49, 72)], [24, 73]),
    22_634: ((8488, 2829, 11_317), [(8488, 11_316), (0, 2828), (2829, 5657), (5658, 8486)], [8487]),
}


@pytest.mark.parametrize("classes", PUBLISHED)
def test_the_folds_are_those_of_the_reality_check(classes: int) -> None:
    (train, val, test), ranges, never = PUBLISHED[classes]
    splits = mlrc_splits(classes)
    assert splits.test == tuple(range(classes - test, classes))
    assert [(fold.val[0], fold.val[-1]) for fold in splits.folds] == ranges
    for fold in splits.folds:
        assert (fold.index, len(fold.train), len(fold.val)) == (splits.folds.index(fold), train, val)
        assert fold.val == tuple(range(fold.val[0], fold.val[-1] + 1))
        assert sorted(fold.train + fold.val) == list(range(classes - test))
    validated = {index for fold in splits.folds for index in fold.val}
    assert sorted(set(range(classes - test)) - validated) == never


def test_an_odd_number_of_classes_gives_the_middle_one_to_the_test_set() -> None:
    splits = mlrc_splits(101)
    assert splits.test == tuple(range(50, 101))
    assert {(len(fold.train), len(fold.val)) for fold in splits.folds} == {(38, 12)}


@given(st.integers(2, 9).flatmap(lambda folds: st.tuples(st.just(folds), st.integers(4 * folds, 700))))
def test_every_fold_is_class_disjoint(case: tuple[int, int]) -> None:
    folds, classes = case
    splits = mlrc_splits(classes, folds)
    assert len(splits.folds) == folds
    for fold in splits.folds:
        together = [*fold.train, *fold.val, *splits.test]
        assert sorted(together) == list(range(classes))
        assert len(fold.val) == int(classes * 0.5 / folds) >= 2
    validated = [index for fold in splits.folds for index in fold.val]
    assert len(set(validated)) == len(validated)


@pytest.mark.parametrize("classes", [0, 1, 10, 15])
def test_too_few_classes_are_refused_by_number_and_remedy(classes: int) -> None:
    with pytest.raises(DataError, match=rf"^{classes} classes are too few for 4 folds.* at least 16 .*more classes"):
        mlrc_splits(classes)
    mlrc_splits(16)


def test_the_remedy_offers_fewer_folds_where_they_would_do() -> None:
    with pytest.raises(DataError, match="at most 2 folds"):
        mlrc_splits(10)
    mlrc_splits(10, folds=2)
    with pytest.raises(DataError, match=r"use a dataset with more classes$"):
        mlrc_splits(7)


def test_one_fold_is_refused() -> None:
    with pytest.raises(ConfigError, match="folds must be at least 2, got 1"):
        mlrc_splits(100, folds=1)


def test_the_hash_covers_every_class_index() -> None:
    splits = mlrc_splits(16)
    expected = {
        "folds": [
            {"index": 0, "train": [0, 1, 2, 3, 4, 5], "val": [6, 7]},
            {"index": 1, "train": [2, 3, 4, 5, 6, 7], "val": [0, 1]},
            {"index": 2, "train": [0, 1, 4, 5, 6, 7], "val": [2, 3]},
            {"index": 3, "train": [0, 1, 2, 3, 6, 7], "val": [4, 5]},
        ],
        "test": [8, 9, 10, 11, 12, 13, 14, 15],
    }
    canonical = json.dumps(expected, sort_keys=True, separators=(",", ":"))
    assert splits.hash == hashlib.sha256(canonical.encode()).hexdigest()
    assert dataclasses.replace(splits, test=splits.test[:-1]).hash != splits.hash


@pytest.mark.parametrize(
    ("folds", "test", "complaint"),
    [
        ([((0, 1), (1, 2))], (3,), "fold 0 train and fold 0 val share 1 classes, among them class 1"),
        ([((0, 1), (2,))], (1, 3), "fold 0 train and test share 1 classes, among them class 1"),
        ([((0, 1), (2,))], (2, 3), "fold 0 val and test share"),
        ([((0, 1), (2, 3)), ((0, 1), (3, 4))], (5,), "fold 0 val and fold 1 val share"),
        ([((0, 1), ())], (2,), "fold 0 val has no classes"),
        ([((0, 0), (1,))], (2,), "fold 0 train names a class twice"),
    ],
)
def test_overlapping_splits_cannot_be_made(folds: list, test: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        ClassSplits(tuple(Fold(index, train, val) for index, (train, val) in enumerate(folds)), test)


def test_a_fold_does_not_know_the_test_classes() -> None:
    assert [field.name for field in dataclasses.fields(Fold)] == ["index", "train", "val"]
