"""Benchmark files: read, merged, overridden, refused."""

import copy
import math

import pytest

from mlbench.api import Categorical, ConfigError, Float, Int, UnknownNameError
from mlbench.protocols.recipe import check_method
from mlbench.spec import Training, Transforms, benchmark_names, load_benchmark, named_methods

MINIMAL = {
    "name": "mine",
    "dataset": "digits",
    "model": {"trunk": "conv-small"},
    "methods": [{"name": "Triplet", "loss": {"id": "triplet-margin", "margin": 0.1}}],
}
FILE = """
name = "mine"
dataset = { id = "glyphs", max_classes = 40 }
[model]
trunk = "conv-small"
[training]
batch_size = 16
[[methods]]
name = "A"
loss = "triplet-margin"
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="benchmark.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refused(source, *overrides):
    with pytest.raises(ConfigError) as error:
        load_benchmark(source, overrides)
    return str(error.value)


def with_method(**method):
    return MINIMAL | {"methods": [{"name": "A", "loss": "triplet-margin"} | method]}


# -- shipped ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", benchmark_names())
def test_a_shipped_benchmark_loads_and_its_methods_can_be_built(name):
    benchmark = load_benchmark(name)
    assert benchmark.name == name and benchmark.summary
    for index, method in enumerate(benchmark.methods):
        check_method(method, f"methods[{index}]")


def test_the_shipped_benchmarks():
    assert {"glyphs", "quickstart", "reality-check", "smoke"} <= set(benchmark_names())


@pytest.mark.parametrize(("dataset", "every", "patience"), [("cub200", 2, 9), ("cars196", 5, 14), ("sop", 20, 39)])
def test_the_papers_datasets_differ_by_methods_and_by_when_they_validate_and_stop(dataset, every, patience):
    changes = [f"dataset={dataset}", f"training.evaluate_every={every}", f"training.patience={patience}"]
    paper = load_benchmark("reality-check", [*changes, f"name=reality-check-{dataset}"])
    shipped = load_benchmark(f"reality-check-{dataset}")
    assert [method.name for method in shipped.methods] == [method.name for method in paper.methods]
    if dataset == "cub200":
        assert shipped.methods == paper.methods
    update = {"summary": paper.summary, "methods": paper.methods}
    assert shipped.model_copy(update=update) == paper


def test_the_reality_check_has_the_papers_size():
    paper = load_benchmark("reality-check")
    assert (paper.folds, paper.reproductions, paper.search.trials) == (4, 10, 50)
    assert sum(1 for method in paper.methods if method.loss is not None) == 14
    assert sum(1 for method in paper.methods if method.loss is None) == 1
    training = paper.training
    assert (training.batch_size, training.iterations_per_epoch, training.max_epochs) == (32, 100, 1000)
    assert (training.evaluate_every, training.patience) == (2, 9)
    assert (paper.transforms.resize, paper.transforms.size, paper.transforms.flip) == (256, 227, 0.5)
    assert paper.transforms.crop.scale == (0.16, 1.0) and paper.transforms.crop.ratio == (0.75, 1.33)
    for optimizer in (training.optimizer, training.loss_optimizer):
        assert (optimizer.name, optimizer.weight_decay, optimizer.momentum) == ("RMSprop", 1e-4, 0.9)
    assert training.optimizer.lr == 1e-6
    assert paper.model.embedding_size == 128 and paper.model.freeze_batchnorm
    assert paper.model.trunk.id == "bn-inception"
    assert (paper.transforms.pixels, paper.transforms.mean) == ("bgr-255", (104, 117, 128))
    assert paper.transforms.std == (1, 1, 1)


def test_a_short_training_on_plain_drawings_has_no_augmentation():
    # quickstart extends glyphs, which rotates and shifts.
    affine = load_benchmark("quickstart").transforms.affine
    assert affine is None or (affine.degrees, affine.translate, affine.scale, affine.shear) == (0, 0, (1, 1), 0)


# -- reading ---------------------------------------------------------------------------------------------------------


def test_a_file_is_read(write):
    benchmark = load_benchmark(write(FILE))
    assert benchmark.dataset.arguments == {"max_classes": 40}
    assert benchmark.training.batch_size == 16
    assert benchmark.methods[0].loss.id == "triplet-margin"


def test_a_dictionary_is_read_and_left_alone():
    source = copy.deepcopy(MINIMAL)
    benchmark = load_benchmark(source, ["model.embedding_size=64", "methods=['Triplet']"])
    assert benchmark.model.embedding_size == 64
    assert source == MINIMAL


@pytest.mark.parametrize("name", ["quikstart", "nowhere/quickstart.toml"])
def test_an_unknown_benchmark_comes_with_what_there_is(name):
    with pytest.raises(UnknownNameError, match="quickstart"):
        load_benchmark(name)


def test_invalid_toml_is_placed(write):
    assert refused(write("name = mine\n")).startswith("benchmark.toml: not valid TOML: ")


def test_a_file_that_is_no_text_is_refused(write):
    assert "cannot be read as UTF-8 text" in refused(write(b"name = '\xff\xfe'\n"))


def test_a_folder_is_no_benchmark(tmp_path):
    assert "no benchmark file" in refused(tmp_path)


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("trainin.batch_size=8", "trainin: unknown; did you mean training?"),
        ("training.bach_size=8", "training.bach_size: unknown; did you mean batch_size?"),
        ("training.optimizer.momentun=0.5", "training.optimizer.momentun: unknown; did you mean momentum?"),
        ("transforms.crop.scal=[0.1, 1.0]", "transforms.crop.scal: unknown; did you mean scale?"),
        ("runtime.wokers=1", "runtime.wokers: unknown; did you mean workers?"),
        ("training.zzz=8", "training.zzz: unknown; valid: batch_size"),
        ("training.batch_size=8.0", "training.batch_size: Input should be a valid integer, got 8.0"),
        ("training.batch_size='8'", "training.batch_size: Input should be a valid integer, got '8'"),
        ("training.batch_size=true", "training.batch_size: Input should be a valid integer, got True"),
        ("training.batch_size=1", "training.batch_size: "),
        ("training.optimizer.lr=0", "training.optimizer.lr: "),
        ("training.optimizer.lr=nan", "training.optimizer.lr: Input should be a finite number, got nan"),
        ("transforms.flip=inf", "transforms.flip: Input should be a finite number, got inf"),
        ("transforms.flip=1.5", "transforms.flip: "),
        ("model.freeze_batchnorm=1", "model.freeze_batchnorm: Input should be a valid boolean, got 1"),
        ("search.sampler=grid", "search.sampler: Input should be 'sobol', 'tpe' or 'gp', got 'grid'"),
        ("training.optimizer.name=LBFGS", "training.optimizer.name: "),
        ("folds=1", "folds: "),
        ("name='a/b'", "name: "),
        ("methods=[]", "methods: must not be empty"),
        ("methods=Triplet", "methods: expected an array, got 'Triplet'"),
        ("model=conv-small", "model: expected a table, got 'conv-small'"),
        ("transforms.crop=true", "transforms.crop: expected a table, got True"),
        ("evaluation.recall_at=1", "evaluation.recall_at: expected an array, got 1"),
        ("evaluation.recall_at=[0, 1]", "evaluation.recall_at: must be different numbers from 1 on, got [0, 1]"),
        ("evaluation.recall_at=[1, 1]", "evaluation.recall_at: must be different numbers from 1 on"),
        ("dataset.max_classes=inf", "dataset: max_classes: write text"),
        ("dataset.sizes=[1.0, nan]", "dataset: sizes: write text"),
        ("dataset.since=2020-02-20", "dataset: since: write text"),
        ("dataset=3", "dataset: "),
        ("dataset.id=''", "dataset.id: "),
    ],
)
def test_a_mistake_is_placed(write, change, said):
    assert refused(write(FILE), change).startswith(f"benchmark.toml: {said}")


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"los": "contrastive"}, "methods[0].los: unknown; did you mean loss?"),
        ({"loss": {"margin": 0.1}}, "methods[0].loss.id: missing"),
        ({"loss": {"id": "triplet-margin", "margin": math.nan}}, "methods[0].loss: margin: write text"),
        ({"loss_optimizer": {"lrr": 0.1}}, "methods[0].loss_optimizer.lrr: unknown; did you mean lr?"),
        ({"samples_per_class": 0}, "methods[0].samples_per_class: "),
        (
            {"search": {"loss.margin": {"low": 1.0, "high": 0.0}}},
            "methods[0].search.loss.margin: low must be below high",
        ),
        ({"search": {"loss.margin": {"low": 0.0, "hihg": 1.0}}}, "methods[0].search.loss.margin.high: missing"),
        ({"search": {"loss.margin": {"low": 0.0, "high": math.inf}}}, "methods[0].search.loss.margin.high: "),
        ({"search": {"loss.margin": {"choices": []}}}, "methods[0].search.loss.margin.choices: "),
        ({"search": {"loss.margin": {"choices": [math.nan]}}}, "methods[0].search.loss.margin.choices"),
        ({"search": {"loss.margin": {"type": "normal"}}}, "methods[0].search.loss.margin: "),
        ({"search": {"loss.margin": 0.1}}, "methods[0].search.loss.margin: expected a table"),
        ({"search": {"loss.margin": [0, 1]}}, "methods[0].search.loss.margin: expected a table"),
        ({"search": "declard"}, "methods[0]: search: expected a table or \"declared\", got 'declard'"),
        ({"loss": None, "miner": "batch-hard"}, "methods[0]: method 'A' has no loss"),
        ({"loss": None, "sampler": "m-per-class"}, "methods[0]: method 'A' has no loss"),
        (
            {"sampler": "m-per-class", "samples_per_class": 2},
            "methods[0]: method 'A': sampler and samples_per_class exclude each other",
        ),
    ],
)
def test_a_mistake_in_a_method_is_placed(method, said):
    assert refused(with_method(**method)).startswith(f"benchmark: {said}")


def test_a_misspelt_bound_is_recognised():
    said = refused(with_method(search={"loss.margin": {"low": 0.0, "high": 1.0, "logg": True}}))
    assert said == "benchmark: methods[0].search.loss.margin.logg: unknown; did you mean log?"


def test_all_mistakes_are_told_at_once(write):
    text = FILE.replace("batch_size = 16", "bach_size = 16\npatience = -1") + "samples_per_clas = 2\n"
    lines = refused(write(text)).splitlines()
    assert sorted(line.split(":")[1].strip() for line in lines) == [
        "methods[0].samples_per_clas",
        "training.bach_size",
        "training.patience",
    ]


def test_two_methods_of_one_name_are_refused_in_one_line():
    method = MINIMAL["methods"][0]
    said = refused(MINIMAL | {"methods": [method, method]})
    assert said == "benchmark: methods: the name 'Triplet' occurs twice; give one of them another `name`"


def test_what_must_be_there_is_asked_for():
    said = refused({"name": "mine"}).splitlines()
    assert {"benchmark: dataset: missing", "benchmark: model: missing"} <= set(said)


def test_whole_numbers_do_for_real_ones():
    training = load_benchmark(MINIMAL, ["training.optimizer.lr=1", "training.optimizer.momentum=0"]).training
    assert (training.optimizer.lr, type(training.optimizer.lr)) == (1.0, float)


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_benchmark(MINIMAL).training.batch_size = 3


def test_an_optimizer_gets_what_it_understands():
    training = Training()
    assert "momentum" in training.optimizer.arguments()
    adam = load_benchmark(MINIMAL, ["training.optimizer={name = 'Adam', lr = 0.1}"]).training.optimizer
    assert adam.arguments() == {"lr": 0.1, "weight_decay": 1e-4}


# -- search spaces ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"low": 0.0, "high": 1.0}, Float(low=0.0, high=1.0)),
        ({"low": 0, "high": 1.5}, Float(low=0.0, high=1.5)),
        ({"low": 1, "high": 8, "log": True}, Int(low=1, high=8, log=True)),
        ({"type": "float", "low": 1, "high": 8}, Float(low=1.0, high=8.0)),
        ({"choices": ["a", "b"]}, Categorical(choices=("a", "b"))),
        ({"choices": [True, 2, 2.5]}, Categorical(choices=(True, 2, 2.5))),
    ],
)
def test_a_dimension_says_its_type_by_its_bounds(written, meant):
    found = load_benchmark(with_method(search={"loss.margin": written})).methods[0].search["loss.margin"]
    assert found == meant and type(found) is type(meant)


# -- --set -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("dataset=digits", lambda b: (b.dataset.id, b.dataset.arguments) == ("digits", {})),
        ("dataset.path=/data/birds", lambda b: b.dataset.arguments["path"] == "/data/birds"),
        ("dataset.path='12'", lambda b: b.dataset.arguments["path"] == "12"),
        ("dataset.max_classes=50", lambda b: b.dataset.arguments["max_classes"] == 50),
        ("model.trunk.width=8", lambda b: (b.model.trunk.id, b.model.trunk.arguments) == ("conv-small", {"width": 8})),
        ("training.optimizer.lr=1e-3", lambda b: b.training.optimizer.lr == 1e-3),
        ("training.optimizer={name = 'SGD', lr = 0.5}", lambda b: b.training.optimizer.name == "SGD"),
        ("evaluation.recall_at=[1, 10]", lambda b: b.evaluation.recall_at == (1, 10)),
        ("methods=['Triplet', 'Untrained']", lambda b: [m.name for m in b.methods] == ["Triplet", "Untrained"]),
        ("runtime.workers=0", lambda b: b.runtime.workers == 0),
        ("summary=a=b", lambda b: b.summary == "a=b"),
        ("summary=", lambda b: b.summary == ""),
    ],
)
def test_set_changes_one_thing(write, override, found):
    assert found(load_benchmark(write(FILE), [override]))


def test_the_last_set_wins(write):
    assert load_benchmark(write(FILE), ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("override", ["seed", "=3", "", "name.first=x", "methods.name=x"])
def test_a_set_that_cannot_be_is_refused_with_its_text(write, override):
    assert refused(write(FILE), override).startswith((f"--set {override}: ", "benchmark.toml: name: "))


# -- extends ---------------------------------------------------------------------------------------------------------


def test_an_extending_file_says_only_what_differs(write):
    benchmark = load_benchmark(write('extends = "smoke"\nname = "mine"\n[transforms]\nflip = 0.5\n'))
    base = load_benchmark("smoke")
    assert (benchmark.name, benchmark.transforms.flip) == ("mine", 0.5)
    assert benchmark.transforms == base.transforms.model_copy(update={"flip": 0.5})
    assert benchmark.methods == base.methods


def test_a_component_keeps_its_arguments_unless_it_becomes_another(write):
    write(FILE, "base.toml")
    same = load_benchmark(write('extends = "base.toml"\ndataset = { min = 3 }'))
    assert (same.dataset.id, same.dataset.arguments) == ("glyphs", {"max_classes": 40, "min": 3})
    other = load_benchmark(write('extends = "base.toml"\ndataset = { id = "folder", path = "x" }'))
    assert (other.dataset.id, other.dataset.arguments) == ("folder", {"path": "x"})


def test_a_component_written_as_a_bare_id_takes_arguments(write):
    write(FILE, "base.toml")
    trunk = load_benchmark(write('extends = "base.toml"\nmodel.trunk.width = 8')).model.trunk
    assert (trunk.id, trunk.arguments) == ("conv-small", {"width": 8})


def test_a_base_is_found_beside_the_file_that_names_it(write, tmp_path, monkeypatch):
    write('extends = "smoke"\nfolds = 3', "shared/one.toml")
    write('extends = "one.toml"\nreproductions = 3', "shared/two.toml")
    monkeypatch.chdir(tmp_path)
    benchmark = load_benchmark(write('extends = "shared/two.toml"\nseed = 3'))
    assert (benchmark.folds, benchmark.reproductions, benchmark.seed) == (3, 3, 3)


def test_a_circle_is_refused(write):
    write('extends = "two.toml"', "one.toml")
    assert "extends itself" in refused(write('extends = "one.toml"', "two.toml"))


@pytest.mark.parametrize("base", ["3", '["smoke"]', '"smok"'])
def test_a_base_that_is_none_is_refused(write, base):
    assert "smoke" in refused(write(f"extends = {base}")) or "extends: expected" in refused(write(f"extends = {base}"))


# -- named methods ---------------------------------------------------------------------------------------------------


def test_a_named_method_can_be_changed():
    change = {"use": "Triplet", "name": "Triplet hard", "miner": "batch-hard", "loss": {"margin": 0.3}}
    plain, changed = load_benchmark(MINIMAL | {"methods": ["Triplet", change]}).methods
    assert (changed.name, changed.miner.id, changed.loss.arguments["margin"]) == ("Triplet hard", "batch-hard", 0.3)
    assert changed.loss.id == plain.loss.id
    assert "loss.margin" in plain.search and not changed.search  # what is given a value is not searched
    assert changed.loss.arguments == plain.loss.arguments | {"margin": 0.3}
    assert plain.miner is None


def test_what_a_named_method_searches_besides_a_given_value_it_still_searches():
    change = {"use": "ProxyNCA", "loss_optimizer": {"lr": 0.1}}
    plain, changed = load_benchmark(MINIMAL | {"methods": ["ProxyNCA", change | {"name": "B"}]}).methods
    assert set(plain.search) - set(changed.search) == {"loss_optimizer.lr"}
    assert "loss.softmax_scale" in changed.search


def test_a_method_can_search_what_its_components_declare():
    method = {"name": "A", "loss": "online-contrastive", "miner": "batch-hard", "search": "declared"}
    (found,) = load_benchmark(MINIMAL | {"methods": [method]}).methods
    assert found.search == {"loss.margin": Float(low=0.0, high=2.0)}
    fixed = method | {"loss": {"id": "online-contrastive", "margin": 0.4}}
    said = refused(MINIMAL | {"methods": ["Triplet", fixed]})
    assert said.startswith("benchmark: methods[1].search: ") and "info.space" in said


def test_changing_a_named_method_changes_it_there_only():
    before = copy.deepcopy(named_methods())
    load_benchmark(MINIMAL | {"methods": [{"use": "Triplet", "loss": {"margin": 0.3}, "search": {}}]})
    assert named_methods() == before


def test_the_sampler_of_a_method_takes_the_place_of_how_a_named_method_composes_its_batches():
    sampler = {"id": "m-per-class", "samples_per_class": 2}
    assert load_benchmark(MINIMAL | {"methods": ["ProxyNCA"]}).methods[0].samples_per_class == 1
    (method,) = load_benchmark(MINIMAL | {"methods": [{"use": "ProxyNCA", "sampler": sampler}]}).methods
    assert method.sampler.arguments == {"samples_per_class": 2}


def test_an_unknown_method_is_placed_with_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"^benchmark: methods\[1\]: unknown method 'Tripet'; did you mean 'Triplet'"
    ):
        load_benchmark(MINIMAL | {"methods": ["Triplet", "Tripet"]})


def test_whole_bounds_are_refused_where_an_argument_is_real():
    (method,) = load_benchmark(with_method(search={"loss.margin": {"low": 0, "high": 1}})).methods
    with pytest.raises(ConfigError, match=r"^methods\[0\]\.search\.loss\.margin: margin is a real number.*low = 0\.0"):
        check_method(method, "methods[0]")


# -- transforms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"std": [0.0]}, {"mean": [0.1, 0.2]}, {"mean": []}, {"size": 4}])
def test_transforms_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError):
        Transforms.model_validate(change)
