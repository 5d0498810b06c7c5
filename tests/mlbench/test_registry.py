"""Entry points, ids, broken plugins, strict arguments."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
import torch

from mlbench.api import ConfigError, PluginError, UnknownNameError
from mlbench.registry import KINDS, entries, find, info_of, load, parameters, provenance_of, resolve

HEAVY = ("torch", "pytorch_metric_learning", "pandas", "optuna", "scipy", "timm", "matplotlib")


def loss_with(install, signature, body="pass"):
    """The id of an installed loss whose constructor has this signature."""
    source = f"class Loss:\n    def __init__(self, {signature}):\n        {body}\n"
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, source)
    return "acme-dml/acme"


def imported_by(code, path=""):
    """Which heavy modules a fresh interpreter has after ``code``."""
    code += f"\nimport sys, json\nprint('\\n' + json.dumps([m for m in {[*HEAVY, 'acme_dml']} if m in sys.modules]))"
    environment = os.environ | {"PYTHONPATH": str(path)}
    return json.loads(subprocess.check_output([sys.executable, "-c", code], text=True, env=environment).split("\n")[-2])


# -- listing ---------------------------------------------------------------------------------------------------------


def test_listing_imports_no_component(install):
    folder = install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, "class Loss: pass")
    code = "from mlbench.registry import KINDS, entries\nassert 'acme-dml/acme' in [e.id for e in entries('losses')]"
    assert imported_by(code + "\nfor kind in KINDS: entries(kind)", folder) == []


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ls", "losses"], ["ls"], ["ls", "losses", "--json"], ["run", "--help"]]
)
def test_the_command_line_answers_without_importing_anything_heavy(install, arguments):
    folder = install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, "class Loss: pass")
    code = f"""
import sys
from mlbench.cli import main
sys.argv = ["mlbench", *{arguments}]
try:
    main()
except SystemExit as leave:
    assert not leave.code, leave.code
"""
    assert imported_by(code, folder) == []


def test_the_harness_comes_through_the_same_door_under_its_own_name():
    for kind in ("losses", "miners", "datasets", "models", "samplers", "metrics", "protocols"):
        ids = [entry.id for entry in entries(kind)]
        assert ids == sorted(ids) and any(name.startswith("mlbench/") for name in ids), kind


def test_every_entry_of_the_harness_loads_and_has_a_schema():
    for kind in KINDS:
        for entry in entries(kind):
            if entry.id.startswith("mlbench/"):
                component = load(entry)
                assert info_of(component).api == 1
                assert all(name == parameter.name for name, parameter in parameters(component).items())


# -- ids -------------------------------------------------------------------------------------------------------------


def test_a_bare_name_and_a_full_id_mean_the_same():
    assert find("losses", "triplet-margin") == find("losses", "mlbench/triplet-margin")


def test_the_same_name_in_another_kind_is_another_component():
    assert find("losses", "triplet-margin").point.value != find("miners", "triplet-margin").point.value


def test_an_unknown_name_comes_with_the_nearest_and_the_place():
    with pytest.raises(UnknownNameError) as error:
        find("losses", "triplet-margn", "methods[2].loss")
    assert str(error.value).startswith("methods[2].loss: unknown loss 'triplet-margn'; did you mean")
    assert "triplet-margin" in str(error.value)


def test_a_name_that_resembles_nothing_says_where_to_look():
    with pytest.raises(UnknownNameError, match="mlbench ls losses"):
        find("losses", "zzzzzzzz")


def test_a_name_in_two_distributions_must_be_written_in_full(install):
    install("acme-dml", {"losses": ["hinge = acme_dml:Loss"]}, "class Loss: pass")
    install("beta-dml", {"losses": ["hinge = beta_dml:Loss"]}, "class Loss: pass", version="0.9")
    with pytest.raises(UnknownNameError) as error:
        find("losses", "hinge")
    assert "acme-dml/hinge (acme-dml 1.2.3), beta-dml/hinge (beta-dml 0.9)" in str(error.value)
    assert find("losses", "beta-dml/hinge").distribution == "beta-dml"


def test_no_plugin_can_take_a_bare_name_from_the_harness(install):
    install("acme-dml", {"losses": ["triplet-margin = acme_dml:Loss"]}, "class Loss: pass")
    assert find("losses", "triplet-margin").id == "mlbench/triplet-margin"
    assert find("losses", "acme-dml/triplet-margin").distribution == "acme-dml"


def test_no_plugin_can_take_a_full_id_from_another(install):
    install("acme-dml", {"losses": ["mlbench/triplet-margin = acme_dml:Loss"]}, "class Loss: pass")
    assert find("losses", "mlbench/triplet-margin").distribution == "mlbench-dml"


# -- broken plugins --------------------------------------------------------------------------------------------------

BROKEN = {
    "raises": "raise RuntimeError('no licence server')",
    "leaves": "import sys; sys.exit(3)",
    "lacks a module": "import a_module_that_is_nowhere",
    "lacks the class": "class Other: pass",
    "is no class": "def Loss(): pass",
    "has a typo": "class Loss(:",
    "needs a newer mlbench": """
from mlbench.api import ComponentInfo
class Loss:
    info = ComponentInfo(api=2)
""",
    "was written for an older mlbench": """
from mlbench.api import ComponentInfo
class Loss:
    info = ComponentInfo(api=0)
""",
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_harms_nothing_else(install, source):
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, source)
    entry = find("losses", "acme")  # listing it is no problem
    with pytest.raises(PluginError) as error:
        load(entry)
    for part in ("acme-dml/acme", "'acme' = 'acme_dml:Loss'", "acme-dml 1.2.3"):
        assert part in str(error.value)
    assert load(find("losses", "triplet-margin"))


def test_the_cause_of_a_broken_import_is_kept(install):
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, BROKEN["raises"])
    with pytest.raises(PluginError, match="RuntimeError: no licence server") as error:
        load(find("losses", "acme"))
    assert isinstance(error.value.__cause__, RuntimeError)


@pytest.mark.parametrize(("api", "upgrade"), [(2, "--upgrade mlbench-dml`"), (0, "--upgrade acme-dml`")])
def test_a_plugin_of_another_api_says_what_to_upgrade(install, api, upgrade):
    source = f"from mlbench.api import ComponentInfo\nclass Loss:\n    info = ComponentInfo(api={api})\n"
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, source)
    with pytest.raises(PluginError, match=upgrade):
        load(find("losses", "acme"))


def test_an_interrupt_during_an_import_is_an_interrupt(install):
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(find("losses", "acme"))


def test_a_constructor_that_fails_is_the_plugins_fault(install):
    resolved = resolve("losses", loss_with(install, "margin: float = 0.1", "{}['x']"), "methods[0].loss")
    with pytest.raises(PluginError, match=r"methods\[0\].loss: acme-dml/acme.*KeyError.*acme-dml 1.2.3"):
        resolved.build()


def test_a_constructor_that_refuses_a_value_is_the_files_fault(install):
    name = loss_with(install, "margin: float = 0.1", "raise ValueError('margin must be negative')")
    with pytest.raises(ConfigError, match=r"methods\[0\].loss: acme-dml/acme refuses.*margin must be negative"):
        resolve("losses", name, "methods[0].loss").build()


# -- arguments -------------------------------------------------------------------------------------------------------


def test_a_misspelt_argument_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^methods\[2\].loss.margn: unknown; did you mean margin\?$"):
        resolve("losses", {"id": "triplet-margin", "margn": 0.1}, "methods[2].loss")


def test_an_argument_that_resembles_nothing_is_refused_with_all_there_are():
    with pytest.raises(ConfigError, match=r"loss.zzz: unknown; valid: .*neg_margin.*pos_margin"):
        resolve("losses", {"id": "contrastive", "zzz": 1}, "loss")


def test_what_a_class_decides_for_its_base_cannot_be_given():
    with pytest.raises(ConfigError, match="mat_based_loss: unknown"):
        resolve("losses", {"id": "contrastive", "mat_based_loss": False}, "loss")


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        ("x: float", True),
        ("x: float", "0.1"),
        ("x: int", 1.0),
        ("x: int", True),
        ("x: bool", 1),
        ("x: str", 1),
        ("x: int | None = None", 0.5),
        ("x: tuple[float, float]", [1.0, "2.0"]),
        ("x: tuple[float, float]", [1.0, True]),
        ("x: tuple[float, float]", [1.0]),
        ("x: list[int]", [1, 2.5]),
        ("x=0.1", True),
        ("x=0.1", "0.1"),
        ("x=1", "1"),
        ("x=True", 1),
        ("x='mean'", 1),
        ("x=(1, 2)", 1),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(install, signature, value):
    name = loss_with(install, signature)
    with pytest.raises(ConfigError, match=r"^loss.x: "):
        resolve("losses", {"id": name, "x": value}, "loss")


@pytest.mark.parametrize(
    ("signature", "value", "arrives"),
    [
        ("x: float", 1, 1.0),
        ("x=0.5", 1, 1.0),
        ("x=1", 0.5, 0.5),
        ("x: tuple[float, float]", [1, 2.5], (1.0, 2.5)),
        ("x: list[int]", [1, 2], [1, 2]),
        ("x: int | None = 3", None, None),
        ("x: float = None", None, None),
        ("x=None", "anything", "anything"),
        ("x=(1, 2)", [3, 4], [3, 4]),
        ("x: 'Unheard | int' = 1", 2, 2),
        ("reducer: str = 'mean'", None, "mean"),
    ],
)
def test_a_value_that_fits_arrives(install, signature, value, arrives):
    argument = signature.split(":")[0].split("=")[0]
    name = loss_with(install, signature, f"self.found = {argument}")
    table = {"id": name} if argument != "x" else {"id": name, "x": value}
    found = resolve("losses", table, "loss").build().found
    assert (found, type(found)) == (arrives, type(arrives))


def test_a_text_argument_with_a_components_name_is_text(install):
    name = loss_with(install, "reducer: str = 'mean'", "self.reducer = reducer")
    assert resolve("losses", {"id": name, "reducer": "sum"}, "loss").build().reducer == "sum"


def test_a_missing_argument_is_named(install):
    with pytest.raises(ConfigError, match="loss: acme-dml/acme needs margin; add it"):
        resolve("losses", loss_with(install, "margin, scale=1.0"), "loss")


@pytest.mark.parametrize("table", [{}, {"margin": 1}, {"id": 3}])
def test_a_table_without_an_id_is_refused(table):
    with pytest.raises(ConfigError, match="loss: a component is an id or a table with an id"):
        resolve("losses", table, "loss")


def test_arguments_follow_kwargs_up_to_where_they_end(install):
    source = """
class Base:
    def __init__(self, power=2, scale=1.0, **kwargs):
        self.power, self.scale = power, scale
        super().__init__()
class Loss(Base):
    def __init__(self, margin=0.1, **kwargs):
        super().__init__(scale=3.0, **kwargs)
"""
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, source)
    assert set(parameters(load(find("losses", "acme")))) == {"margin", "power"}
    assert resolve("losses", {"id": "acme", "power": 5}, "loss").build().power == 5


# -- components inside components ------------------------------------------------------------------------------------


def test_nested_components_are_resolved_and_built():
    table = {"id": "contrastive", "distance": {"id": "lp", "p": 1}, "reducer": "mean", "neg_margin": 0.5}
    loss = resolve("losses", table, "loss").build()
    assert (type(loss.distance).__name__, loss.distance.p, loss.neg_margin) == ("LpDistance", 1, 0.5)
    triplet = resolve("losses", {"id": "triplet-margin", "reducer": "mean"}, "loss").build()
    assert type(triplet.reducer).__name__ == "MeanReducer"


def test_a_list_of_components():
    table = {
        "id": "multiple",
        "losses": ["contrastive", {"id": "triplet-margin", "margin": 0.3}],
        "weights": [1.0, 2.0],
    }
    resolved = resolve("losses", table, "loss")
    assert [type(loss).__name__ for loss in resolved.build().losses] == ["ContrastiveLoss", "TripletMarginLoss"]
    assert [part["id"] for part in resolved.identity()["arguments"]["losses"]] == [
        "mlbench/contrastive",
        "mlbench/triplet-margin",
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"distance": {"id": "lp", "pp": 1}}, r"loss.distance.pp: unknown"),
        ({"distance": "lpp"}, r"loss.distance: unknown distance 'lpp'"),
        ({"distance": {"p": 2}}, r"loss.distance: a component is an id"),
        ({"distance": 5}, r"loss.distance: expected a component"),
        ({"distance": "contrastive"}, r"loss.distance: unknown distance 'contrastive'"),
    ],
)
def test_mistakes_inside_are_placed(table, said):
    with pytest.raises(ConfigError, match=said):
        resolve("losses", {"id": "contrastive", **table}, "loss")


# -- what the harness fills in ---------------------------------------------------------------------------------------


def test_classes_and_width_are_filled_in():
    loss = resolve("losses", "arcface", "loss").build(num_classes=5, embedding_size=8)
    assert sorted(loss.W.shape) == [5, 8]


def test_a_width_in_the_file_stays():
    loss = resolve("losses", {"id": "arcface", "num_classes": 7}, "loss").build(num_classes=5, embedding_size=8)
    assert sorted(loss.W.shape) == [7, 8]


def test_what_is_optional_is_filled_in_only_when_asked_for():
    margin = {"id": "margin", "learn_beta": True}
    assert resolve("losses", margin, "loss").build(num_classes=5).beta.numel() == 1
    assert resolve("losses", margin | {"num_classes": "auto"}, "loss").build(num_classes=5).beta.numel() == 5


def test_the_channels_come_from_the_data():
    trunk = resolve("models", "conv-small", "model.trunk")
    assert trunk.build(in_channels=3)(torch.zeros(1, 3, 32, 32)).shape == (1, 512)
    assert trunk.build(in_channels=1)(torch.zeros(1, 1, 32, 32)).shape == (1, 512)


def test_what_is_needed_and_unknown_here_is_asked_for():
    with pytest.raises(ConfigError, match="loss: mlbench/arcface needs num_classes"):
        resolve("losses", "arcface", "loss").build(embedding_size=8)


# -- identity and provenance -----------------------------------------------------------------------------------------


def test_writing_out_a_default_changes_nothing():
    short = resolve("losses", "triplet-margin", "loss").identity()
    full = {name: value for name, value in short["arguments"].items() if value is not None}
    assert full["margin"] == 0.05
    assert resolve("losses", {"id": "mlbench/triplet-margin", **full}, "here").identity() == short


def test_one_and_one_point_zero_are_one_configuration(install):
    name = loss_with(install, "annotated: float = 0.5, bare=0.5")
    whole = resolve("losses", {"id": name, "annotated": 1, "bare": 1}, "loss").identity()
    assert json.dumps(whole) == json.dumps(
        resolve("losses", {"id": name, "annotated": 1.0, "bare": 1.0}, "loss").identity()
    )


def test_every_plain_default_is_in_the_identity_and_all_of_it_has_a_json_form(install):
    name = loss_with(install, "a=1, b='x', c=(1, 2), d={'k': [1.5]}, e=None, f=True, g=object(), h=float('inf')")
    arguments = resolve("losses", name, "loss").identity()["arguments"]
    assert json.loads(json.dumps(arguments, allow_nan=False)) == {
        "a": 1, "b": "x", "c": [1, 2], "d": {"k": [1.5]}, "e": None, "f": True,
    }  # fmt: skip


def test_the_behaviour_version_counts_and_the_channels_do_not(install):
    source = "from mlbench.api import ComponentInfo\nclass Trunk:\n    info = ComponentInfo(version=7)\n"
    source += "    def __init__(self, in_channels=3, depth=2): pass\n"
    install("acme-dml", {"models": ["acme = acme_dml:Trunk"]}, source)
    assert resolve("models", "acme", "trunk").identity() == {
        "id": "acme-dml/acme",
        "version": 7,
        "arguments": {"depth": 2},
    }


def test_provenance_names_every_part(install):
    install("acme-dml", {"distances": ["acme = acme_dml:Distance"]}, "class Distance: pass", version="4.5")
    table = {"id": "multiple", "losses": [{"id": "contrastive", "distance": "acme"}, "contrastive"]}
    rows = provenance_of({"loss": resolve("losses", table, "loss").identity(), "miner": None})
    assert [row["id"] for row in rows] == ["mlbench/multiple", "mlbench/contrastive", "acme-dml/acme"]
    source = rows[-1].pop("source")
    assert source == hashlib.sha256(b"acme_dml.py:20:class Distance: pass").hexdigest()
    assert rows[-1] == {
        "kind": "distances",
        "id": "acme-dml/acme",
        "target": "acme_dml:Distance",
        "distribution": "acme-dml",
        "version": "4.5",
    }


def test_the_summary_of_a_component_without_info_is_its_docstring(install):
    source = 'class Loss:\n    """A loss that says so.\n\n    And more."""\n'
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, source)
    assert info_of(load(find("losses", "acme"))).summary == "A loss that says so."
