"""The named splits: which classes and items each of them trains on, selects by and tests."""

import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbench.api import DataError, ItemTable
from mlbench.api.splits import ClassSplits, Fold, ItemSplits
from mlbench.data.splits import LeaveOneViewOut, Mlrc, Official, QueryGallery, ring_folds, split
from mlbench.registry import resolve


def table(labels, **columns):
    """An item table; ``columns`` give an item's entry from its class and its number within the class."""
    labels = np.asarray(labels, dtype=np.int64)
    seen: Counter[int] = Counter()
    places = []
    for label in labels.tolist():
        places.append((label, seen[label]))
        seen[label] += 1
    return ItemTable(
        ids=tuple(map(str, range(len(labels)))),
        labels=labels,
        class_names=tuple(f"class {label}" for label in range(int(labels.max()) + 1)),
        **{name: tuple(entry(*place) for place in places) for name, entry in columns.items()},
    )


def pairs(classes):
    return np.repeat(np.arange(classes), 2)


def ranges(classes):
    """Runs of consecutive classes, as (first, last)."""
    breaks = [0, *(np.flatnonzero(np.diff(classes) != 1) + 1).tolist(), len(classes)]
    return [(classes[a], classes[b - 1]) for a, b in pairwise(breaks)]


# -- the field's datasets --------------------------------------------------------------------------------------------


def test_official_sop_is_not_the_reality_checks() -> None:
    items = table(pairs(22_634), splits=lambda label, _: "train" if label < 11_318 else "test")
    official, mlrc = Official()(items, 4), Mlrc()(items, 4)
    assert ranges(official.test) == [(11_318, 22_633)] and len(official.test) == 11_316
    assert ranges(mlrc.test) == [(11_317, 22_633)] and len(mlrc.test) == 11_317
    # 11,318 training classes: folds start at 0, 2829, 5659 and 8488, each validates on the 2829 classes before that.
    starts = [(8489, 11_317), (0, 2828), (2830, 5658), (5659, 8487)]
    assert [ranges(fold.val) for fold in official.folds] == [[run] for run in starts]
    assert all(len(fold.train) == 8489 for fold in official.folds)
    assert official.hash != mlrc.hash


@pytest.mark.parametrize(("classes", "train"), [(200, 100), (196, 98)])
def test_where_every_class_is_on_both_sides_official_is_the_half_split(classes: int, train: int) -> None:
    """CUB-200 and Cars196: the field trains on the first half of the classes and tests on the second."""
    items = table(pairs(classes), splits=lambda label, number: "test" if number else "train")
    splits = Official()(items, 4)
    assert ranges(splits.test) == [(train, classes - 1)]
    assert {*splits.folds[0].train, *splits.folds[0].val} == set(range(train))
    assert splits.test_parts()[1] is None


def test_official_in_shop_lets_queries_search_the_gallery() -> None:
    """3,997 training and 3,985 test classes, in one alphabetical order."""
    test = set(range(0, 7970, 2))
    assert len(test) == 3985
    items = table(
        pairs(7982),
        splits=lambda label, _: "test" if label in test else "train",
        roles=lambda label, number: ("query", "gallery")[number] if label in test else "",
    )
    splits = Official()(items, 4)
    assert set(splits.test) == test
    assert {len(fold.train) + len(fold.val) for fold in splits.folds} == {3997}
    assert {len(fold.val) for fold in splits.folds} == {999}
    queries, gallery = splits.test_parts()
    assert queries.items == tuple(2 * label for label in sorted(test))
    assert gallery.items == tuple(2 * label + 1 for label in sorted(test))


def test_validation_items_of_the_owner_are_training_data_or_the_test() -> None:
    both = table(pairs(12), splits=lambda label, _: "test" if label > 7 else "val" if label > 5 else "train")
    assert Official()(both, 2).test == (8, 9, 10, 11)
    assert {*Official()(both, 2).folds[0].train, *Official()(both, 2).folds[0].val} == set(range(8))
    without = table(pairs(12), splits=lambda label, _: "val" if label > 5 else "train")
    assert Official()(without, 2).test == (6, 7, 8, 9, 10, 11)


def test_classes_in_no_split_are_left_out() -> None:
    items = table(pairs(12), splits=lambda label, _: {0: "", 11: ""}.get(label, "train" if label < 6 else "test"))
    splits = Official()(items, 2)
    assert splits.test == (6, 7, 8, 9, 10)
    assert sorted({*splits.folds[0].train, *splits.folds[0].val}) == [1, 2, 3, 4, 5]


# -- any dataset -----------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 200), min_size=4).map(sorted), st.integers(2, 7))
def test_the_ring_rule_covers_its_classes_and_shares_none(classes: list[int], folds: int) -> None:
    if len(classes) < 2 * folds:
        with pytest.raises(DataError, match=rf"{len(classes)} training classes are too few for {folds} folds"):
            ring_folds(classes, folds)
        return
    made = ring_folds(classes, folds)
    assert [fold.index for fold in made] == list(range(folds))
    for fold in made:
        assert sorted((*fold.train, *fold.val)) == classes
        assert len(fold.val) == int(len(classes) / folds) >= 2
        # A run of the ring: validation ends just before the fold's start, int(p / folds * T).
        start = int(fold.index / folds * len(classes))
        assert set(fold.val) == {classes[(start - 1 - step) % len(classes)] for step in range(len(fold.val))}
    validated = [label for fold in made for label in fold.val]
    assert len(set(validated)) == len(validated)


TABLES = st.integers(16, 40).flatmap(
    lambda classes: st.tuples(
        st.lists(st.integers(0, classes - 1), max_size=80).map(
            lambda extra: [*range(classes), *range(classes), *extra]
        ),
        st.lists(st.sampled_from("ab c"), min_size=2 * classes + 80, max_size=2 * classes + 80),
        st.sets(st.integers(0, classes - 1), min_size=8, max_size=classes - 2),
    )
)


@given(TABLES)
def test_owners_classes_are_disjoint_and_all_used(drawn: tuple) -> None:
    labels, _, train = drawn
    items = table(labels, splits=lambda label, _: "train" if label in train else "test")
    splits = Official()(items, 4)
    assert set(splits.test) == set(range(max(labels) + 1)) - train
    for fold in splits.folds:
        assert {*fold.train, *fold.val} == train and not set(fold.train) & set(fold.val)


@given(TABLES)
def test_the_view_left_out_is_never_trained_on_and_searches_the_others(drawn: tuple) -> None:
    labels, letters, _ = drawn
    items = dataclasses.replace(table(labels), views=tuple(letters[: len(labels)]))
    half = (max(labels) + 1) // 2
    try:
        splits = LeaveOneViewOut("a")(items, 2)
    except DataError:
        return  # too few classes have other views, or the test has no query with something to find
    shown = {item for part in (0, 1) for item in splits.fold_parts(part)[0].items}
    views, classes = np.array(items.views), np.array(labels)
    assert "a" not in views[list(shown)] and set(classes[list(shown)]) <= set(range(half))
    for fold in splits.folds:
        counts = [int(((classes == label) & (views != "a")).sum()) for label in (*fold.train, *fold.val)]
        assert min(counts) >= 2
    queries, gallery = (set(part.items) for part in splits.test_parts())
    assert queries == set(np.flatnonzero((classes >= half) & (views == "a")).tolist())
    assert gallery == set(np.flatnonzero((classes >= half) & (views != "a")).tolist())


@given(TABLES)
def test_by_role_only_the_second_half_of_the_classes_is_tested(drawn: tuple) -> None:
    labels, letters, _ = drawn
    roles = tuple({"a": "query", "b": "gallery"}.get(letter, "") for letter in letters[: len(labels)])
    items, half = dataclasses.replace(table(labels), roles=roles), (max(labels) + 1) // 2
    try:
        splits = QueryGallery()(items, 4)
    except DataError:
        return
    assert splits.folds == Mlrc()(items, 4).folds and splits.test == Mlrc()(items, 4).test
    queries, gallery = (part.items for part in splits.test_parts())
    for found, role in ((queries, "query"), (gallery, "gallery")):
        assert list(found) == [i for i, label in enumerate(labels) if label >= half and roles[i] == role]
    assert list(splits.selection) == [i for i, label in enumerate(labels) if label < half]


# -- what does not fit -----------------------------------------------------------------------------------------------

NONE, HALVES = table(pairs(16)), lambda label, _: "train" if label < 8 else "test"


@pytest.mark.parametrize(
    ("scheme", "items", "complaint"),
    [
        (Official(), NONE, "names no train and test items .splits: none.; use the split mlrc"),
        (Official(), table(pairs(16), splits=lambda *_: "train"), "names no train and test items .splits: train."),
        (
            Official(),
            table(pairs(16), splits=lambda label, number: "train" if label < 8 + number else "test"),
            "1 classes are in both train and test, among them 'class 8', and others are not",
        ),
        (
            Official(),
            table(pairs(16), splits=lambda label, n: "" if (label, n) == (3, 1) else HALVES(label, n)),
            "of class 'class 3' some items are in a split and some are in none",
        ),
        (
            Official(),
            table(pairs(16), splits=lambda label, _: "train" if label < 5 else "test"),
            "5 training classes are too few for 4 folds, which need at least 8 .*, or at most 2 folds",
        ),
        (QueryGallery(), NONE, "names no queries and no gallery; use the split mlrc"),
        (
            QueryGallery(),
            table(pairs(16), roles=lambda *_: "query"),
            "none of the 16 items of the test .* is a gallery",
        ),
        (
            QueryGallery(),
            table(pairs(16), roles=lambda label, _: "query" if label % 2 else "gallery"),
            "no query of the test classes has an item of its class in the gallery",
        ),
        (LeaveOneViewOut("left"), NONE, "the dataset has no view 'left'; its views: none"),
        (LeaveOneViewOut("left"), table(pairs(16), views=lambda _, n: "ab"[n]), "has no view 'left'; its views: a, b"),
        (LeaveOneViewOut("a"), table(pairs(16), views=lambda _, n: "ab"[n]), "0 training classes are too few"),
    ],
)
def test_a_table_that_the_rule_does_not_fit_is_refused_with_the_reason(scheme, items, complaint) -> None:
    with pytest.raises(DataError, match=complaint):
        scheme(items, 4)


FOLD = Fold(0, (0, 1), (2, 3))


@pytest.mark.parametrize(
    ("selection", "queries", "gallery", "complaint"),
    [
        ((0, 1), (2, 3), (3, 4), "query and gallery share 1 items, among them item 3"),
        ((0, 1), (1, 3), (4,), "training and validation and query share 1 items, among them item 1"),
        ((0, 1), (2,), (0,), "training and validation and gallery share"),
        ((0, 1), (2, 2), (3,), "query names an item twice"),
        ((0, 1), (2,), (), "gallery has no items"),
    ],
)
def test_splits_that_share_items_cannot_be_made(selection, queries, gallery, complaint) -> None:
    with pytest.raises(DataError, match=complaint):
        ItemSplits((FOLD,), (4, 5), selection, queries, gallery)
    with pytest.raises(DataError, match="share 1 classes"):
        ItemSplits((FOLD,), (3, 4), (0,), (1,), (2,))


def test_the_hash_covers_every_item() -> None:
    one = ItemSplits((FOLD,), (4, 5), (0, 1), (2, 3), (6, 7))
    others = [
        dataclasses.replace(one, **change)
        for change in (
            {"selection": (0,)},
            {"queries": (2,)},
            {"gallery": (6,)},
            {"queries": (6, 7), "gallery": (2, 3)},
        )
    ]
    assert len({one.hash, ClassSplits((FOLD,), (4, 5)).hash, *(other.hash for other in others)}) == 6


def test_a_scheme_that_gives_no_splits_is_named(install) -> None:
    install(
        "acme-splits", {"splits": ["odd = acme_splits:Odd"]}, "class Odd:\n    def __call__(self, items, folds): pass"
    )
    with pytest.raises(DataError, match="split: acme-splits/odd gave no splits of 2 folds, but None"):
        split(resolve("splits", "acme-splits/odd", "split"), NONE, 2)
