"""Un-packaged code: usable for research, known by its source, and marked wherever a result of it is shown."""

import hashlib
import json
import sys

import pytest

import mlbench as package
from mlbench.api import ConfigError, PluginError, UnknownNameError
from mlbench.execution import open_study
from mlbench.execution.context import Context
from mlbench.execution.worker import Worker
from mlbench.registry import entries, find, load, resolve, unpackaged, use_file, used_files
from mlbench.spec import load_benchmark
from mlbench.store import Store

LOSS = """
from pytorch_metric_learning.losses import TripletMarginLoss

class Loss(TripletMarginLoss):
    def __init__(self, margin: float = 0.1):
        super().__init__(margin=margin)
"""


@pytest.fixture
def my_file(tmp_path):
    """A file that no package holds; whatever is used of it is forgotten afterwards."""
    path = tmp_path / "my_losses.py"
    path.write_text(LOSS)
    yield path
    for name in list(unpackaged._FILES.paths):
        del unpackaged._FILES.paths[name], unpackaged._FILES.sources[name]
        sys.modules.pop(name, None)


def identity():
    return resolve("losses", "my_losses:Loss", "loss").identity()


# -- ids -------------------------------------------------------------------------------------------------------------


def test_a_file_is_found_once_it_is_given(my_file):
    with pytest.raises(UnknownNameError, match=r"^loss: 'my_losses:Loss': there is no module .* --plugin my_losses.py"):
        find("losses", "my_losses:Loss", "loss")
    use_file(my_file)
    assert load(find("losses", "my_losses:Loss"))().margin == 0.1
    assert used_files() == (str(my_file),)
    assert "my_losses:Loss" not in [entry.id for entry in entries("losses")]


def test_the_command_line_takes_a_file_after_any_verb_that_looks_at_components(my_file, mlbench):
    code, out, err = mlbench("show", "losses/my_losses:Loss", "--plugin", my_file)
    assert code == 0 and out.startswith("my_losses:Loss  (un-packaged)") and "margin" in out, err
    for verb in ("run", "plan", "status"):
        code, _, err = mlbench(verb, "smoke", "--plugin", "nowhere.py")
        assert code == 1 and "--plugin nowhere.py: no Python file there" in err


def test_the_source_is_part_of_the_identity_and_an_edit_is_another_one(my_file):
    use_file(my_file)
    before = identity()
    assert before["source"] == hashlib.sha256(LOSS.encode()).hexdigest()
    use_file(my_file)
    assert identity() == before
    my_file.write_text(LOSS.replace("0.1", "0.2"))
    assert identity() == before  # what was imported is what runs
    use_file(my_file)
    assert load(find("losses", "my_losses:Loss"))().margin == 0.2
    assert identity()["source"] == hashlib.sha256(my_file.read_bytes()).hexdigest() != before["source"]


def test_a_class_of_a_package_on_the_path_needs_no_file(tmp_path, monkeypatch):
    (tmp_path / "my_pkg_here").mkdir()
    (tmp_path / "my_pkg_here" / "__init__.py").write_text("")
    (tmp_path / "my_pkg_here" / "mod.py").write_text(LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    found = resolve("losses", {"id": "my_pkg_here.mod:Loss", "margin": 0.3}, "loss")
    assert found.build().margin == 0.3
    assert len(found.identity()["source"]) == 64 and "source" not in resolve("losses", "contrastive", "loss").identity()
    sys.modules.pop("my_pkg_here.mod"), sys.modules.pop("my_pkg_here")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("json.py", "there is another module called 'json'; rename the file"),
        ("my losses.py", "'my losses' cannot be a module's name"),
        ("losses.txt", "no Python file there"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, name, said):
    (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match=f"--plugin .*{said}"):
        use_file(tmp_path / name)


def test_a_file_that_is_not_there_and_one_of_the_same_name_are_refused(my_file, tmp_path):
    with pytest.raises(ConfigError, match="no Python file there"):
        use_file("nowhere.py")
    use_file(my_file)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / my_file.name).write_text("")
    with pytest.raises(ConfigError, match="has the same name; rename one of them"):
        use_file(tmp_path / "other" / my_file.name)


@pytest.mark.parametrize("name", ["__main__:Loss", "math:Loss", "my_losses:Other"])
def test_what_has_no_source_or_no_such_class_is_refused(my_file, name):
    use_file(my_file)
    with pytest.raises((PluginError, UnknownNameError)):
        resolve("losses", name, "loss").identity()


# -- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_in_worker_processes_is_marked_and_an_edit_makes_new_runs(my_file, tiny, tmp_path):
    store = tmp_path / "store"
    tables = tiny({"name": "Mine", "loss": "my_losses:Loss"}, runtime={"workers": 1}, reproductions=1)
    tables = tables | {"methods": [*tables["methods"], "Untrained"]}
    result = package.run(tables, store=store, plugins=[my_file])
    assert result.summary.failed == {}
    trained = [r for r in Store(store).records() if r.method == "Mine" and r.role == "reproduction"]
    source = hashlib.sha256(LOSS.encode()).hexdigest()
    for record in trained:
        (row,) = [row for row in record.provenance if row["kind"] == "losses"]
        assert row == {
            "kind": "losses", "id": "my_losses:Loss", "target": "my_losses:Loss", "unpackaged": "yes", "source": source,
        }  # fmt: skip
        assert record.request["loss"]["source"] == source

    text = (store / "leaderboard.md").read_text()
    assert text.count("| Mine † ") == 3 and "Untrained †" not in text
    assert (
        "† un-packaged code: no distribution, no version" in text and f"my_losses:Loss (source {source[:12]})" in text
    )
    rows = {row["method"]: row for row in json.loads((store / "leaderboard.json").read_text())["rows"]}
    assert rows["Mine"]["unpackaged"] and not rows["Untrained"]["unpackaged"]
    assert "Mine †" in (store / "leaderboard.svg").read_text()

    my_file.write_text(LOSS + "# edited\n")
    with pytest.raises(PluginError, match=r"my_losses:Loss: its source changed since the plan was made"):
        worker = Worker(Context(str(store), tables["dataset"], "cpu", plugins=[str(my_file)]))
        worker.run(trained[0].request)
    tables["runtime"]["workers"] = 0
    again = package.run(tables, store=store, plugins=[my_file])
    assert sorted(again.summary.done) == ["Mine/reproduction-0/fold-0", "Mine/reproduction-0/fold-1", "Mine/test-0"]
    assert {r.run for r in trained}.isdisjoint(r.run for r in Store(store).records())


def test_an_un_packaged_protocol_is_in_every_request_with_its_source(my_file, tiny):
    my_file.write_text("from mlbench.protocols import RealityCheck\n\nclass Mine(RealityCheck):\n    pass\n")
    use_file(my_file)
    study = open_study(load_benchmark(tiny(protocol="my_losses:Mine")))
    request = study.request(study.plan.jobs[0], {})
    source = hashlib.sha256(my_file.read_bytes()).hexdigest()
    assert request["protocol"] == {"id": "my_losses:Mine", "version": 1, "source": source}


# -- plugins that fail, and that are gone ----------------------------------------------------------------------------

BREAKS = """
from torch import nn
class Breaks(nn.Module):
    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        raise RuntimeError("no licence server")
"""


def test_a_failed_run_names_the_plugin_and_its_records_name_it_when_it_is_gone(install, tiny, tmp_path, monkeypatch):
    install("acme-dml", {"losses": ["breaks = acme_dml:Breaks"]}, BREAKS)
    tables = tiny({"name": "Broken", "loss": "breaks"}, reproductions=1)
    result = package.run(tables, store=tmp_path / "store")
    (reason, *_) = result.summary.failed.values()
    assert "RuntimeError: no licence server (acme-dml/breaks: entry point 'breaks' = 'acme_dml:Breaks' of " in reason
    assert "acme-dml 1.2.3" in reason
    assert "Broken: acme-dml 1.2.3" in (tmp_path / "store" / "leaderboard.md").read_text()
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry or "venv" in entry])
    entries.cache_clear()
    for name in ("breaks", "acme-dml/breaks"):
        tables["methods"][0]["loss"] = name
        with pytest.raises(UnknownNameError, match=r"the records in .*store used acme-dml 1\.2\.3$"):
            package.run(tables, store=tmp_path / "store")


def test_a_required_plugin_is_looked_for_before_anything_else(tiny, tmp_path):
    tables = tiny({"name": "A", "loss": "nowhere/loss"}, require=["nowhere-dml>=2"])
    with pytest.raises(PluginError, match=r"require: nowhere-dml>=2 is not installed; `pip install 'nowhere-dml>=2'`"):
        package.run(tables, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
