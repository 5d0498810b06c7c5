"""What is known of a plugin before anything of it is imported: faults, switches, requirements, provenance."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from mlbench.api import ConfigError, PluginError, UnknownNameError
from mlbench.registry import check_requirements, entries, find, load, provenance_of, refuse_broken, resolve
from mlbench.registry.health import health
from mlbench.spec import load_benchmark

LOSS = "class Loss:\n    def __init__(self, margin: float = 0.1): pass\n"
ACME = {"losses": ["acme = acme_dml:Loss"]}


def plugin(name="acme-dml"):
    """What is known of the plugins of that name."""
    return [one for one in health() if one.plugin.name == name]


def refused(name, *words):
    """Selecting it fails with one message that names it, its distribution and these words."""
    with pytest.raises(PluginError) as error:
        load(find("losses", name))
    for word in (name, *words):
        assert word in str(error.value)


# -- faults ----------------------------------------------------------------------------------------------------------


def test_a_sound_plugin_is_listed_with_its_components(install):
    install("acme-dml", {**ACME, "miners": ["acme = acme_dml:Miner"]}, LOSS, requires=["torch", "mlbench-dml>=0.0.1"])
    (one,) = plugin()
    assert (one.state, one.problems, one.notes) == ("ok", (), ())
    assert [entry.id for entry in one.components] == ["acme-dml/acme"] * 2
    assert load(find("losses", "acme"))


def test_a_class_of_pytorch_metric_learning_is_a_plugin_by_its_entry_point_alone(install):
    install("acme-dml", {"losses": ["pairs = pytorch_metric_learning.losses:ContrastiveLoss"]}, None)
    loss = resolve("losses", {"id": "acme-dml/pairs", "neg_margin": 0.5, "distance": "lp"}, "loss").build()
    assert loss.neg_margin == 0.5 and plugin()[0].state == "ok"


def test_a_plugin_whose_module_is_gone_is_stale(install):
    folder = install("acme-dml", ACME, None)
    (one,) = plugin()
    assert one.state == "stale"
    refused("acme-dml/acme", "stale", str(folder), "'acme_dml' is gone", "pip uninstall acme-dml", "acme-dml 1.2.3")


def test_the_empty_folder_that_a_package_leaves_behind_is_stale_too(install):
    folder = install("acme-dml", ACME, None)
    (folder / "acme_dml").mkdir()
    assert plugin()[0].state == "stale"


@pytest.mark.parametrize(
    ("requirement", "state", "remedy"),
    [
        ("mlbench-dml >=99", "too new", "pip install --upgrade mlbench-dml"),
        ("mlbench_dml~=99.1", "too new", "pip install --upgrade mlbench-dml"),
        ("mlbench-dml (<0.0.2)", "too old", "pip install --upgrade acme-dml"),
        ("mlbench-dml==0.0.*", "too old", "pip install --upgrade acme-dml"),
    ],
)
def test_a_plugin_that_requires_another_harness_says_which_to_upgrade(install, requirement, state, remedy):
    install("acme-dml", ACME, LOSS, requires=[requirement])
    assert [problem.state for problem in plugin()[0].problems] == [state]
    refused("acme-dml/acme", state, remedy)


def test_a_distribution_that_gives_a_name_twice_fails_for_that_name_alone(install):
    points = {"losses": ["acme = acme_dml:Loss", "acme = acme_dml:Other", "fine = acme_dml:Loss"]}
    install("acme-dml", points, LOSS)
    assert plugin()[0].state == "clashing"
    refused("acme-dml/acme", "clashing", "'acme' to several classes", "acme-dml 1.2.3")
    assert load(find("losses", "acme-dml/fine"))


def test_an_earlier_installation_hides_a_later_one_and_says_so(install, tmp_path, monkeypatch):
    later = install("acme-dml", {"losses": ["acme = acme_dml:Loss", "new = acme_dml:New"]}, LOSS, version="2.0")
    earlier = tmp_path / "earlier"
    monkeypatch.syspath_prepend(earlier)
    install("acme-dml", ACME, LOSS, version="1.0", folder=earlier)
    assert find("losses", "acme-dml/acme").version == "1.0"
    assert load(find("losses", "acme-dml/acme"))  # metadata and code agree
    states = {one.plugin.version: one for one in plugin()}
    assert (states["1.0"].state, states["2.0"].state) == ("ok", "shadowed")
    assert states["2.0"].plugin.folder == str(later)
    refused("acme-dml/new", "hidden by acme-dml 1.0", str(earlier), "pip uninstall acme-dml")


def test_metadata_that_hide_those_of_the_code_are_refused(install, tmp_path, monkeypatch):
    install("acme-dml", ACME, LOSS, version="2.0")
    earlier = tmp_path / "earlier"
    monkeypatch.syspath_prepend(earlier)
    install("acme-dml", ACME, None, version="1.0", folder=earlier)  # what a broken uninstallation leaves
    assert {one.state for one in plugin()} == {"shadowed"}
    refused("acme-dml/acme", "shadowed", "2.0", str(earlier))


def test_two_versions_in_one_folder_are_refused(install):
    for version in ("1.0", "2.0"):
        install("acme-dml", ACME, LOSS, version=version)
    assert {one.state for one in plugin()} == {"shadowed"}
    refused("acme-dml/acme", "shadowed", "1.0", "2.0")


def test_a_module_of_another_distribution_in_front_of_ones_own_is_seen(install, tmp_path, monkeypatch):
    install("acme-dml", ACME, LOSS)
    earlier = tmp_path / "earlier"
    monkeypatch.syspath_prepend(earlier)
    install("evil", {"losses": ["evil = evil:Loss"]}, LOSS, folder=earlier)
    (earlier / "acme_dml.py").write_text(LOSS)
    assert (plugin()[0].state, plugin("evil")[0].state) == ("shadowed", "ok")
    refused("acme-dml/acme", "shadowed", f"'acme_dml' is hidden by {earlier / 'acme_dml.py'}")


def test_a_group_that_is_none_is_named_with_the_nearest(install):
    install("acme-dml", {"loss": ["acme = acme_dml:Loss"], **ACME}, LOSS)
    (problem,) = plugin()[0].problems
    assert "entry-point group 'mlbench.loss'" in problem.cause and "mlbench.losses" in problem.remedy
    assert load(find("losses", "acme-dml/acme"))


def test_a_folder_that_is_twice_on_the_path_shadows_nothing(install, monkeypatch):
    folder = install("acme-dml", ACME, LOSS)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder), f"{folder}{os.sep}"])
    entries.cache_clear()
    assert [one.state for one in plugin()] == ["ok"]


@pytest.mark.parametrize("name", ["mlbench-dml", "mlbench", "MLBench"])
def test_nobody_else_can_be_the_harness(install, name):
    points = {"losses": ["contrastive = evil:Loss", "evil = evil:Loss"]}
    install(name, points, "class Loss: pass", version="9.9")
    assert "pytorch_metric_learning" in load(find("losses", "mlbench/contrastive")).__module__
    assert find("losses", "contrastive").version != "9.9"
    assert [one.state for one in plugin(name)] in (["shadowed"], ["clashing"])
    refused(f"{name.replace('-dml', '')}/evil", "9.9")


@pytest.mark.parametrize("text", [b"[mlbench.losses]\nno entry point\n", b"[mlbench.losses]\n\xff\xfe = a:B\n"])
def test_metadata_that_cannot_be_read_harm_nobody(install, text):
    folder = install("acme-dml", ACME, LOSS)
    (folder / "acme_dml-1.2.3.dist-info" / "entry_points.txt").write_bytes(text)
    entries.cache_clear()
    assert plugin()[0].problems[0].cause == "its metadata cannot be read"
    assert load(find("losses", "contrastive"))


def test_a_bare_name_that_several_have_is_noted(install):
    install("acme-dml", {"losses": ["contrastive = acme_dml:Loss"]}, LOSS)
    (one,) = plugin()
    assert one.state == "ok"
    assert one.notes == ("losses: 'contrastive' is also a name of mlbench/contrastive; write acme-dml/contrastive",)


def test_two_hundred_plugins_are_listed_and_none_is_imported(install):
    for number in range(200):
        kinds = {"losses": [f"loss = acme_{number}:Loss"], "miners": [f"miner = acme_{number}:Miner"]}
        install(f"acme-{number}", kinds, "raise SystemExit('imported')", requires=["mlbench-dml>=0.0.1"])
    code = """
import sys
from mlbench.cli import main
sys.argv = ["mlbench", "ls"]
try:
    main()
finally:
    print([name for name in sys.modules if name.startswith("acme_") or name == "torch"])
"""
    *lines, imported = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert sum("  ok  losses/acme-" in line for line in lines) == 200 and imported == "[]"


# -- names -----------------------------------------------------------------------------------------------------------


def test_suggestions_name_the_distributions(install):
    install("acme-dml", ACME, LOSS)
    with pytest.raises(UnknownNameError, match=r"did you mean .*acme-dml/acme \(acme-dml 1\.2\.3\)"):
        find("losses", "acmee")


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(UnknownNameError, match="no plugin 'acme-dml' is installed"):
        find("losses", "acme-dml/acme", "loss")


def test_a_component_that_its_package_does_not_have_yet_is_said_to_be_missing_from_it(install):
    install("acme-dml", ACME, LOSS)
    with pytest.raises(UnknownNameError, match="acme-dml is installed without it; after a change of its entry points"):
        find("losses", "acme-dml/acne")


# -- switches --------------------------------------------------------------------------------------------------------


def test_an_allow_list_leaves_out_all_other_plugins(install, monkeypatch):
    install("acme-dml", ACME, LOSS)
    install("beta-dml", {"losses": ["acme = beta_dml:Loss"]}, LOSS)
    monkeypatch.setenv("MLBENCH_PLUGINS", "Beta_DML, gamma-dml")
    entries.cache_clear()
    assert {entry.distribution for entry in entries("losses")} == {"mlbench-dml", "beta-dml"}
    assert find("losses", "acme").id == "beta-dml/acme"
    refused("acme-dml/acme", "switched off", "MLBENCH_PLUGINS=Beta_DML, gamma-dml")
    assert [plugin(name)[0].state for name in ("acme-dml", "beta-dml", "gamma-dml")] == [
        "switched off", "ok", "missing",
    ]  # fmt: skip


def test_an_empty_allow_list_leaves_the_harness_alone(install, monkeypatch):
    install("acme-dml", ACME, LOSS)
    monkeypatch.setenv("MLBENCH_PLUGINS", "")
    entries.cache_clear()
    assert {entry.distribution for entry in entries()} == {"mlbench-dml"}


def test_strict_makes_every_broken_plugin_an_error(install, monkeypatch):
    install("acme-dml", ACME, "raise RuntimeError('no licence server')")
    install("beta-dml", {"losses": ["gone = gone:Loss"]}, LOSS)
    install("fine", {"losses": ["fine = fine:Loss"]}, LOSS)
    install("off", {"losses": ["off = off:Loss"]}, "raise RuntimeError")
    monkeypatch.setenv("MLBENCH_PLUGINS", "acme-dml,beta-dml,fine")
    entries.cache_clear()
    refuse_broken()
    monkeypatch.setenv("MLBENCH_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError) as error:
        refuse_broken()
    said = str(error.value)
    assert "no licence server" in said and "beta-dml 1.2.3: stale" in said
    assert "fine" not in said and "off" not in said.replace("MLBENCH_STRICT_PLUGINS", "")


# -- require ---------------------------------------------------------------------------------------------------------


def test_required_plugins_are_there_or_named_with_what_to_install(install):
    install("acme-dml", ACME, LOSS, version="1.5")
    check_requirements(["acme-dml>=1.2,<2", "Acme_DML", "pytest"])
    with pytest.raises(PluginError) as error:
        check_requirements(["acme-dml>=2", "nowhere-dml~=1.0", "acme-dml"])
    assert str(error.value).splitlines() == [
        "require: acme-dml>=2 is needed, acme-dml 1.5 is installed; `pip install --upgrade 'acme-dml>=2'`",
        "require: nowhere-dml~=1.0 is not installed; `pip install 'nowhere-dml~=1.0'`",
    ]


@pytest.mark.parametrize("text", ["acme dml", ">=1", "acme-dml @ https://example.org/a.whl", "acme-dml; os_name=='nt'"])
def test_a_requirement_that_is_none_is_refused(tiny, text):
    with pytest.raises(ConfigError, match="require: "):
        load_benchmark(tiny(require=[text]))


# -- provenance ------------------------------------------------------------------------------------------------------


def git(folder, *arguments):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def row_of(identifier):
    (row,) = provenance_of({"loss": resolve("losses", identifier, "loss").identity()})
    return row


def test_the_record_of_an_installation_from_version_control_names_the_commit(install):
    install("acme-dml", ACME, LOSS, origin={"url": "https://example.org/acme", "vcs_info": {"commit_id": "c0ffee"}})
    row = row_of("acme-dml/acme")
    assert row["commit"] == "c0ffee" and "editable" not in row
    assert row["source"] == hashlib.sha256(f"acme_dml.py:{len(LOSS)}:{LOSS}".encode()).hexdigest()


@pytest.mark.parametrize("dirty", [False, True])
def test_the_record_of_an_editable_installation_names_the_work_trees_commit(install, tmp_path, dirty):
    tree = tmp_path / "tree"
    tree.mkdir()
    git(tree, "init", "-q")
    (tree / "pyproject.toml").write_text("")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "Begin")
    if dirty:
        (tree / "pyproject.toml").write_text("[project]")
    install("acme-dml", ACME, LOSS, origin={"url": tree.as_uri(), "dir_info": {"editable": True}})
    row = row_of("acme-dml/acme")
    assert (row["commit"], row["editable"]) == (git(tree, "rev-parse", "HEAD") + "-dirty" * dirty, "yes")


def test_a_folder_inside_somebody_elses_work_tree_has_no_commit(install, tmp_path):
    git(tmp_path, "init", "-q")
    (folder := tmp_path / "inside").mkdir()
    (folder / "pyproject.toml").write_text("")
    install("acme-dml", ACME, LOSS, origin={"url": folder.as_uri(), "dir_info": {"editable": True}})
    assert "commit" not in row_of("acme-dml/acme")


def test_the_hash_of_a_package_covers_all_of_its_modules(install):
    folder = install("acme-dml", {"losses": ["acme = acme_pkg.losses:Loss"]}, None)
    (folder / "acme_pkg").mkdir()
    (folder / "acme_pkg" / "__init__.py").write_text("")
    (folder / "acme_pkg" / "losses.py").write_text(LOSS)
    (folder / "acme_pkg" / "helper.py").write_text("SCALE = 1")
    script = "import json, sys; from mlbench.registry import *; from mlbench.registry.source import source_hash"
    code = f"{script}\nprint(source_hash('acme_pkg.losses'), 'acme_pkg' in sys.modules)"
    before = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    (folder / "acme_pkg" / "helper.py").write_text("SCALE = 2")
    after = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert before[1] == after[1] == "False" and before[0] != after[0]


def test_provenance_has_a_json_form():
    assert json.loads(json.dumps(row_of("contrastive")))["distribution"] == "mlbench-dml"
