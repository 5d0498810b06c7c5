"""What a plugin author imports."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import mlbench.api as api
from mlbench.api import Categorical, ComponentInfo, DataError, Float, Int, ItemTable, Trunk

UNIT = st.floats(0, 1)


def test_every_public_name_is_there_and_no_other():
    assert all(getattr(api, name) is not None for name in dir(api))
    assert {"Dataset", "ComponentInfo", "Float", "Trunk", "ConfigError", "API_VERSIONS"} <= set(dir(api))
    with pytest.raises(AttributeError, match="Looss"):
        _ = api.Looss


def test_importing_the_api_is_cheap():
    code = "import sys, mlbench.api; print([m for m in ('torch', 'pydantic', 'numpy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_component_may_declare_nothing():
    info = ComponentInfo()
    assert (info.api, info.version, info.tags, dict(info.space), info.needs) == (1, 1, (), {}, frozenset())


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (api.UnknownNameError, api.ConfigError),
        (api.ConfigError, api.MlbenchError),
        (api.PluginError, api.MlbenchError),
        (api.DataError, api.MlbenchError),
        (api.StoreError, api.MlbenchError),
    ],
)
def test_every_error_can_be_caught_by_its_family(error, base):
    assert issubclass(error, base)


# -- search spaces ---------------------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), UNIT)
def test_a_float_stays_in_its_interval(low, width, u):
    assert low <= Float(low=low, high=low + width).at(u) <= low + width


@given(st.floats(1e-8, 1e3), st.floats(1.01, 1e6), UNIT)
def test_a_log_float_stays_in_its_interval(low, factor, u):
    assert low <= Float(low=low, high=low * factor, log=True).at(u) <= low * factor


@given(st.integers(1, 1000), st.integers(1, 1000), UNIT, st.booleans())
def test_an_int_stays_in_its_interval(low, width, u, log):
    value = Int(low=low, high=low + width, log=log).at(u)
    assert isinstance(value, int) and low <= value <= low + width


def test_a_log_scale_is_even_in_the_exponent():
    dimension = Float(low=1e-6, high=1.0, log=True)
    assert [dimension.at(u) for u in (0.0, 0.5, 1.0)] == pytest.approx([1e-6, 1e-3, 1.0])


def test_every_integer_and_every_choice_gets_the_same_share():
    steps = [i / 600 for i in range(600)]
    for dimension, values in ((Int(low=3, high=5), [3, 4, 5]), (Categorical(choices=("a", "b", "c")), ["a", "b", "c"])):
        found = [dimension.at(u) for u in steps]
        assert [found.count(value) for value in values] == [200, 200, 200]


@pytest.mark.parametrize(
    "bounds",
    [
        {"low": 1.0, "high": 1.0},
        {"low": 2.0, "high": 1.0},
        {"low": 0.0, "high": 1.0, "log": True},
        {"low": float("nan"), "high": 1.0},
        {"low": 0.0, "high": float("inf")},
        {"low": "0", "high": 1.0},
        {"low": 0.0, "high": 1.0, "lgo": True},
    ],
)
def test_bounds_that_cannot_be_are_refused(bounds):
    with pytest.raises(ValidationError):
        Float(**bounds)


@pytest.mark.parametrize("choices", [(), (float("nan"),), (1.0, float("inf"))])
def test_choices_that_cannot_be_are_refused(choices):
    with pytest.raises(ValidationError):
        Categorical(choices=choices)


# -- datasets and trunks ---------------------------------------------------------------------------------------------


def table(**change):
    columns = {"ids": ("a", "b", "c"), "labels": np.array([0, 1, 1]), "class_names": ("x", "y"), "views": None}
    return ItemTable(**columns | change)


def test_an_item_table_counts_its_classes():
    assert len(table()) == 3
    assert table().counts.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": ("a", "b")}, "lengths differ"),
        ({"views": ("front",)}, "3 ids, 1 views: lengths differ"),
        ({"splits": ("train", "test")}, "3 ids, 2 splits: lengths differ"),
        ({"boxes": np.zeros((1, 4), np.int64)}, "lengths differ"),
        ({"superclasses": np.array([0]), "superclass_names": ("s",)}, "2 class_names, 1 superclasses"),
        ({"superclasses": np.array([0, 1]), "superclass_names": ("s",)}, "superclasses must be 0..0"),
        ({"roles": ("query", "gallery", "probe")}, "'probe'"),
        ({"ids": ("a", "b", "a")}, "twice"),
        ({"labels": np.array([0, 2, 2])}, "every class present"),
        ({"labels": np.array([-1, 0, 0])}, "every class present"),
        ({"labels": np.array([0, 0, 0])}, "1 distinct labels for 2 classes"),
    ],
)
def test_an_item_table_that_contradicts_itself_is_refused(change, said):
    with pytest.raises(DataError, match=said):
        table(**change)


def test_a_trunk_is_anything_with_features_and_a_forward():
    class Mine:
        features = 3

        def forward(self, images):
            return images

    assert isinstance(Mine(), Trunk)
    assert not isinstance(object(), Trunk)


# -- a dataset from two functions ------------------------------------------------------------------------------------


def squares(classes: int = 2, shade: int = 9) -> ItemTable:
    """Grey squares."""
    ids = tuple(f"{c}/{i}" for c in range(classes) for i in range(2))
    return ItemTable(ids=ids, labels=np.repeat(np.arange(classes), 2), class_names=tuple(map(str, range(classes))))


def square(name: str, classes: int, shade: int):
    return np.full((4, 4, 1), shade + int(name[0]), dtype=np.uint8)


def test_a_table_and_a_loader_make_a_dataset_with_a_strict_schema():
    from mlbench.registry import info_of, parameters

    Squares = api.table_dataset(squares, square, licence="CC0")
    assert issubclass(Squares, api.Dataset) and Squares.licence == "CC0" and info_of(Squares).summary == "Grey squares."
    found = {name: (p.annotation, p.default) for name, p in parameters(Squares).items()}
    assert found == {"classes": (int, 2), "shade": (int, 9)}
    dataset = Squares(classes=3)
    assert dataset.items.ids[4] == "2/0" and dataset.load(4).tolist() == [[[11]] * 4] * 4
    with pytest.raises(TypeError):
        Squares(colour=1)


def test_its_content_hash_follows_items_and_images_unless_it_has_one_of_its_own():
    Squares = api.table_dataset(squares, square)
    hashes = [Squares(**given).content_hash for given in ({}, {"shade": 9}, {"shade": 10}, {"classes": 3})]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3
    table, square_by_square = squares(), (square(name, 2, 9) for name in squares().ids)
    words = (repr(column) for column in (table.ids, table.class_names, None))
    assert hashes[0] == api.digest([*words, table.labels, *square_by_square])
    declared = api.table_dataset(squares, square, content=lambda classes, shade: f"{classes}-{shade}")
    assert declared(shade=3).content_hash == "2-3"


def test_its_content_hash_covers_every_column_that_there_is():
    count = len(squares())
    columns = [
        {},
        {"splits": ("train",) * count},
        {"splits": ("test",) * count},
        {"roles": ("query",) * count},
        {"superclasses": np.zeros(2, np.int64), "superclass_names": ("a",)},
        {"superclasses": np.zeros(2, np.int64), "superclass_names": ("b",)},
        {"boxes": np.zeros((count, 4), np.int64)},
    ]

    def dataset(change):
        def items(classes: int = 2, shade: int = 9) -> ItemTable:
            return dataclasses.replace(squares(classes, shade), **change)

        return api.table_dataset(items, square)()

    assert len({dataset(change).content_hash for change in columns}) == len(columns)
    assert dataset({}).content_hash == api.table_dataset(squares, square)().content_hash


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        ({"splits": ("train", "tests")}, "splits are train, val, test or empty, got 'tests'"),
        ({"roles": ("query", "probe")}, "roles are query, gallery or empty, got 'probe'"),
    ],
)
def test_a_word_that_no_column_knows_is_refused(column, complaint):
    with pytest.raises(DataError, match=complaint):
        ItemTable(ids=("a", "b"), labels=np.zeros(2, np.int64), class_names=("c",), **column)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 with 1 or 3 channels, got uint8 \(4, 4\)"),
        (np.zeros((4, 4, 1), np.float32), "got float32"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (None, "got NoneType"),
        (OSError("torn"), "torn"),
    ],
)
def test_an_item_that_cannot_be_loaded_is_named(image, said):
    def load(name, classes, shade):
        if isinstance(image, Exception):
            raise image
        return image

    with pytest.raises(DataError, match=f"item '1/0' cannot be loaded: .*{said}"):
        api.table_dataset(squares, load)().load(2)
