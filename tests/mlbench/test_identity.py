"""What makes two runs the same run: classified fields, canonical JSON, pinned digests."""

import copy
import json
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlbench.spec as spec
from mlbench.data.splits import mlrc_splits
from mlbench.protocols import DatasetFacts, Outcome, RealityCheck, Recipe
from mlbench.protocols.job import Job
from mlbench.spec import Benchmark, canonical_json, digest, identity_of, load_benchmark
from mlbench.spec.base import Table, result, runtime

FULL = {
    "name": "golden",
    "summary": "a benchmark that says everything that has no obvious default",
    "seed": 7,
    "dataset": {"id": "glyphs", "max_classes": 16},
    "model": {"trunk": {"id": "conv-small", "width": 8}, "embedding_size": 64, "freeze_batchnorm": False},
    "transforms": {
        "size": 32,
        "resize": 32,
        "crop": {"scale": [0.16, 1.0], "ratio": [0.75, 1.33]},
        "flip": 0.5,
        "mean": [0.2],
        "std": [0.35],
    },
    "methods": [
        {
            "name": "Searched",
            "loss": {"id": "contrastive", "distance": {"id": "lp"}, "neg_margin": 0.5},
            "samples_per_class": 2,
            "loss_optimizer": {"weight_decay": 0.0},
            "search": {"loss.pos_margin": {"low": 0.0, "high": 1.0}},
        },
        {"name": "Plain", "loss": "contrastive"},
    ],
}
FACTS = DatasetFacts("mlbench/glyphs", 1, "c" * 64, 16, 160)
PLAIN = Job("Plain", "reproduction", 2, 3, ())

# Computed from the data written out by hand with nothing but hashlib and json. If one of these changes, every record
# there is becomes unreachable: raise the protocol's version, do not just replace the digest.
GOLDEN_BENCHMARK = "6dc15432bf7505a6befa9c55ebb5c2d70fef132eae8fd279c3a72bb37fe78f28"
GOLDEN_REQUEST = "41670404594965b43206ec4753a8318a4a1d0e73112c18de3348b6a5084db911"

#: For every field that can change a result, another value; dotted paths, ``methods`` means the first one.
CHANGES = {
    "protocol": "acme/other",
    "split": {"id": "leave-one-view-out", "view": "front"},
    "seed": 8,
    "folds": 2,
    "reproductions": 3,
    "dataset": {"id": "glyphs", "max_classes": 17},
    "model.trunk": {"id": "conv-small", "width": 9},
    "model.embedding_size": 65,
    "model.freeze_batchnorm": True,
    "model.frozen_trunk": True,
    "transforms.size": 31,
    "transforms.resize": None,
    "transforms.crop.scale": [0.2, 1.0],
    "transforms.crop.ratio": [0.8, 1.33],
    "transforms.affine.degrees": 5.0,
    "transforms.affine.translate": 0.1,
    "transforms.affine.scale": [0.9, 1.0],
    "transforms.affine.shear": 1.0,
    "transforms.flip": 0.25,
    "transforms.invert": 0.25,
    "transforms.pixels": "bgr-255",
    "transforms.mean": [0.3],
    "transforms.std": [0.3],
    "training.batch_size": 16,
    "training.iterations_per_epoch": 99,
    "training.max_epochs": 999,
    "training.evaluate_every": 3,
    "training.patience": 8,
    "training.threads": 2,
    "training.precision": "bf16",
    "training.ranks": 2,
    "training.optimizer.name": "SGD",
    "training.optimizer.lr": 1e-5,
    "training.optimizer.weight_decay": 0.0,
    "training.optimizer.momentum": 0.8,
    "training.loss_optimizer.name": "SGD",
    "training.loss_optimizer.lr": 1e-5,
    "training.loss_optimizer.weight_decay": 0.0,
    "training.loss_optimizer.momentum": 0.8,
    "search.trials": 49,
    "search.sampler": "tpe",
    "search.generation": 2,
    "search.stopping.epochs": [2, 4],
    "search.stopping.factor": 3,
    "evaluation.recall_at": [1],
    "evaluation.metrics": ["retrieval"],
    "methods.loss": {"id": "contrastive", "neg_margin": 0.6},
    "methods.miner": "batch-hard",
    "methods.samples_per_class": 1,
    "methods.batch_size": 8,
    "methods.sampler": {"id": "m-per-class", "samples_per_class": 1},
    "methods.loss_optimizer.lr": 0.5,
    "methods.loss_optimizer.weight_decay": 0.5,
    "methods.search": {},
}
#: The same for the fields that only say where and how fast, or what things are called.
NO_CHANGES = {
    "name": "other",
    "summary": "other",
    "require": ["acme-losses>=1.2"],
    "paths": {"glyphs": "/data"},
    "runtime.workers": 7,
    "runtime.device": "cuda:1",
    "runtime.loaders": 3,
    "runtime.images": "device",
    "runtime.retries": 3,
    "runtime.timeout": 60.0,
    "runtime.checkpoint_every": 5.0,
    "runtime.fail_fast": True,
    "runtime.executor": "inprocess",
    "runtime.slots": 2,
    "runtime.address": "auto",
    "runtime.slurm.cluster": "local",
    "runtime.slurm.partition": "gpu",
    "runtime.slurm.time": 90,
    "runtime.slurm.gres": "gpu:1",
    "runtime.slurm.mem": "8GB",
    "runtime.slurm.account": "other",
    "runtime.slurm.qos": "other",
    "runtime.slurm.constraint": "other",
    "runtime.slurm.setup": ["module load cuda"],
    "runtime.slurm.options": {"nice": 5},
    "damaged": "skip",
    "methods.name": "other",
    "methods.summary": "other",
}
#: What else must be said for some of them.
NEEDED = {
    "runtime.slots": {"device": "cuda"},
    "runtime.address": {"executor": "ray"},
    "runtime.slurm.": {"executor": "slurm"},
}
#: Fields of the whole study, which no single training of a method without a search depends on.
OF_THE_STUDY = {
    "protocol",
    "reproductions",
    "dataset",
    "search.trials",
    "search.sampler",
    "search.generation",
    "search.stopping.epochs",
    "search.stopping.factor",
    "evaluation.metrics",
}


def tables():
    """Every table there is."""
    found, waiting = set(), [Table]
    while waiting:
        new = [table for table in waiting.pop().__subclasses__() if table.__module__.startswith(spec.__name__)]
        found |= set(new)
        waiting += new
    return sorted(found, key=lambda table: table.__name__)


def fields(table, prefix=""):
    """Dotted paths of all fields below a table; components and search spaces are one field each."""
    paths = set()
    for name, field in table.model_fields.items():
        inner = [t for t in _types(field.annotation) if isinstance(t, type) and issubclass(t, Table)]
        if inner and inner[0] is not spec.Component:
            paths |= fields(inner[0], f"{prefix}{name}.")
        else:
            paths.add(prefix + name)
    return paths


def _types(annotation):
    return [annotation] + [t for part in get_args(annotation) for t in _types(part) if get_args(annotation)]


def changed(path, value):
    source = copy.deepcopy(FULL)
    *parents, last = path.split(".")
    place = source
    for parent in parents:
        place = place["methods"][0] if parent == "methods" else place.setdefault(parent, {})
    for field, needed in NEEDED.items():
        if path.startswith(field):
            source["runtime"] |= needed
    if path == "methods.sampler":  # it composes the batches instead
        del place["samples_per_class"]
    if path.startswith("search.stopping."):  # of no use without epochs and trials to compare
        source["search"]["generation"] = 4
        place["epochs"] = [2]
    place[last] = value
    return load_benchmark(source)


def request(benchmark, job=PLAIN, facts=FACTS):
    outcomes = {key: Outcome("run", 0.5) for key in job.after}
    return RealityCheck(recipe(benchmark, facts)).request(job, outcomes)


def recipe(benchmark, facts=FACTS):
    return Recipe(benchmark, facts, mlrc_splits(facts.classes, benchmark.folds))


# -- classification --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.__name__)
def test_every_field_says_whether_it_can_change_a_result(table):
    for name, field in table.model_fields.items():
        assert isinstance(field.json_schema_extra, dict) and "identity" in field.json_schema_extra, name


@pytest.mark.parametrize("depth", [0, 1])
def test_a_field_that_does_not_say_so_is_an_error_at_any_depth(depth):
    class Forgetful(Table):
        said: int = result(1)
        forgotten: int = 2

    class Outer(Table):
        inner: Forgetful = result(Forgetful())

    with pytest.raises(TypeError, match=r"Forgetful\.forgotten is not classified"):
        identity_of(Outer() if depth else Forgetful())


def test_what_only_says_how_fast_is_left_out_at_any_depth():
    class Inner(Table):
        counts: int = result(1)
        speed: int = runtime(2)

    class Outer(Table):
        inner: tuple[Inner, ...] = result((Inner(),))
        speed: int = runtime(2)

    assert identity_of(Outer()) == {"inner": [{"counts": 1}]}


def test_every_field_is_tried_below():
    assert fields(Benchmark) == CHANGES.keys() | NO_CHANGES.keys()


@pytest.mark.parametrize("path", CHANGES)
def test_a_field_that_can_change_a_result_changes_the_identity(path):
    assert digest(identity_of(changed(path, CHANGES[path]))) != GOLDEN_BENCHMARK


@pytest.mark.parametrize("path", NO_CHANGES)
def test_a_field_that_cannot_does_not(path):
    assert digest(identity_of(changed(path, NO_CHANGES[path]))) == GOLDEN_BENCHMARK


# -- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in CHANGES if "methods." not in path and path not in OF_THE_STUDY])
def test_a_training_is_another_one_when_anything_it_depends_on_changes(path):
    job = Job("Plain", "reproduction", 2, 1, ()) if path == "folds" else PLAIN
    assert digest(request(changed(path, CHANGES[path]), job)) != digest(request(load_benchmark(FULL), job))


@pytest.mark.parametrize("path", sorted(OF_THE_STUDY) + sorted(NO_CHANGES))
def test_a_training_is_the_same_when_nothing_it_depends_on_changes(path):
    value = (CHANGES | NO_CHANGES)[path]
    assert digest(request(changed(path, value))) == GOLDEN_REQUEST


@pytest.mark.parametrize(
    "change", [{"id": "mlbench/digits"}, {"version": 2}, {"content_hash": "d" * 64}, {"classes": 18}]
)
def test_another_content_of_the_data_is_another_run(change):
    facts = DatasetFacts(**{**FACTS.__dict__, **change})
    assert digest(request(load_benchmark(FULL), facts=facts)) != GOLDEN_REQUEST


def test_runs_of_other_numbers_folds_and_roles_are_other_runs():
    jobs = [Job("Plain", "reproduction", number, fold, ()) for number in (0, 1) for fold in range(4)]
    jobs += [Job("Searched", "trial", 0, fold, ()) for fold in range(4)]
    assert len({digest(request(load_benchmark(FULL), job)) for job in jobs}) == len(jobs)


def test_writing_a_default_or_a_whole_number_changes_nothing():
    spelt = {**FULL, "folds": 4, "training": {"loss_optimizer": {"momentum": 0.9, "lr": 1e-2}, "patience": 9}}
    spelt["methods"] = [FULL["methods"][0], {"name": "Plain", "loss": {"id": "mlbench/contrastive", "neg_margin": 1}}]
    assert digest(request(load_benchmark(spelt))) == GOLDEN_REQUEST


def test_a_method_with_a_sampler_is_another_one_by_all_the_arguments_of_the_sampler():
    samplers = [
        {},
        {"sampler": {"id": "m-per-class", "samples_per_class": 2}},
        {"sampler": {"id": "m-per-class", "samples_per_class": 1}},
    ]
    requests = [request(load_benchmark({**FULL, "methods": [FULL["methods"][1] | change]})) for change in samplers]
    assert len({digest(each) for each in requests}) == 3 and digest(requests[0]) == GOLDEN_REQUEST
    assert "sampler" not in requests[0] and "samples_per_class" not in requests[1]
    assert requests[1]["sampler"] == {"id": "mlbench/m-per-class", "version": 1, "arguments": {"samples_per_class": 2}}


def test_a_test_is_another_one_when_something_else_is_reported():
    job = Job("Plain", "test", 2, None, ())
    one, other = (request(changed("evaluation.metrics", metrics), job) for metrics in ([], ["retrieval"]))
    assert "metrics" not in one["evaluation"]
    assert [metric["id"] for metric in other["evaluation"]["metrics"]] == ["mlbench/retrieval"]


def test_the_recipe_is_everything_but_the_methods():
    fewer = {**FULL, "methods": FULL["methods"][:1], "name": "other"}
    recipes = [recipe(load_benchmark(source)).identity() for source in (FULL, fewer)]
    assert recipes[0] == recipes[1] and "methods" not in recipes[0]
    for path, value in CHANGES.items():
        if not path.startswith("methods") and path != "dataset":
            assert recipe(changed(path, value)).identity() != recipes[0], path


# -- pinned ----------------------------------------------------------------------------------------------------------


def test_the_identity_of_a_benchmark_is_pinned():
    assert digest(identity_of(load_benchmark(FULL))) == GOLDEN_BENCHMARK


def test_the_identity_of_a_run_is_pinned():
    assert digest(request(load_benchmark(FULL))) == GOLDEN_REQUEST


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": [1, 2.5], "a": {"d": None, "c": True}}, '{"a":{"c":true,"d":null},"b":[1,2.5]}'),
        ((1, 2), "[1,2]"),
        ({"ß": "Δ"}, '{"ß":"Δ"}'),
        (1e-06, "1e-06"),
        (100.0, "100.0"),
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_canonical_json_is_pinned(value, text):
    assert canonical_json(value) == text


@pytest.mark.parametrize(
    ("value", "hashed"),
    [
        ({}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ([], "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"),
    ],
)
def test_a_digest_is_the_sha256_of_the_text(value, hashed):
    assert digest(value) == hashed  # sha256 of "{}" and of "[]"


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}])
def test_what_has_no_json_form_has_no_digest(value):
    with pytest.raises(ValueError):
        digest(value)


TEXT = st.text(st.characters(codec="utf-8"), max_size=3)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
PLAIN_DATA = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


@given(PLAIN_DATA)
def test_canonical_json_survives_a_round_trip(value):
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.dictionaries(TEXT, st.integers(), min_size=2, max_size=5))
def test_the_order_of_keys_does_not_count(table):
    assert digest(dict(reversed(table.items()))) == digest(table)
