"""What tests of several rooms share: a benchmark of seconds, the command line, a package of losses that misbehave."""

import copy
import json
import os
import signal
import sys

import pytest

TINY = {
    "name": "tiny",
    "dataset": {"id": "glyphs", "max_classes": 40},
    "folds": 2,
    "reproductions": 2,
    "model": {"trunk": {"id": "conv-small", "width": 4}, "embedding_size": 8, "freeze_batchnorm": False},
    "transforms": {"size": 32, "resize": 32, "mean": [0.2], "std": [0.35]},
    "training": {
        "batch_size": 8,
        "iterations_per_epoch": 2,
        "max_epochs": 2,
        "evaluate_every": 1,
        "patience": 1,
        "optimizer": {"name": "Adam", "lr": 1e-3, "weight_decay": 1e-4},
        "loss_optimizer": {"name": "Adam", "lr": 1e-2, "weight_decay": 1e-4},
    },
    "search": {"sampler": "sobol", "trials": 2, "generation": 2},
    "runtime": {"workers": 0},
    "methods": ["Untrained"],
}

#: Losses of a package that somebody else wrote.
MISBEHAVING = '''
import os
import signal
from pathlib import Path

from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn


class TurnsNaN(nn.Module):
    """Finite for so many batches, then not a number."""

    def __init__(self, after: int = 0):
        super().__init__()
        self.left = after

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        self.left -= 1
        return embeddings.sum() * (0.0 if self.left >= 0 else float("nan"))


class KillsOnce(nn.Module):
    """Ends its own process, as the system does when memory runs out, unless it has done so before."""

    def __init__(self, done: str):
        super().__init__()
        self.done = Path(done)

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        if not self.done.exists():
            self.done.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return embeddings.pow(2).mean()


class Refuses(TripletMarginLoss):
    """Refuses the margin that a file names, if there is that file."""

    def __init__(self, tenths: int, file: str = ""):
        if Path(file).is_file() and Path(file).read_text() == str(tenths):
            raise ValueError(f"{tenths} tenths are not today's margin")
        super().__init__(margin=tenths / 10)
'''


@pytest.fixture(scope="session")
def tiny():
    """Make a benchmark's tables; a table given changes only what it names, another component replaces."""

    def make(*methods, **change):
        tables = copy.deepcopy(TINY) | ({"methods": list(methods)} if methods else {})
        parts = {name for name, value in change.items() if isinstance(value, dict) and "id" not in value}
        return tables | change | {name: tables[name] | change[name] for name in parts}

    return make


@pytest.fixture(scope="session")
def smallest():
    """Overrides that bring a benchmark on glyphs down to seconds, with every method searched, trained and tested."""
    dataset, model = ["dataset.max_classes=40"], ["model.trunk.width=4", "model.embedding_size=8"]
    training = ["training.batch_size=8", "training.iterations_per_epoch=1"]
    return [*dataset, *model, *training, "folds=2", "reproductions=1", "search.trials=1", "runtime.workers=0"]


@pytest.fixture
def benchmark_file(tmp_path, tiny):
    """Write such a benchmark into a file; its path."""

    def write(*methods, name="tiny", **change):
        path = tmp_path / f"{name}.toml"
        tables = tiny(*methods, name=name, **change)
        path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in tables.items()), encoding="utf-8")
        return str(path)

    return write


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


@pytest.fixture
def mlbench(monkeypatch, capfd):
    """Give a command; its exit code, output and messages."""

    def command(*arguments):
        from mlbench.cli import main

        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["mlbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as leave:
            main()
        return leave.value.code, *capfd.readouterr()

    before = signal.getsignal(signal.SIGTERM)
    yield command
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one module, for child processes too: it is found as after ``pip install``."""
    from mlbench.registry import entries
    from mlbench.registry.source import source_hash

    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    before = set(sys.modules)
    entries.cache_clear()
    source_hash.cache_clear()  # another test's distribution may have had this name

    def install(name, points, source="", version="1.2.3", requires=(), folder=site, origin=None):
        """``points``: lines by kind. ``source``: of the module, which is named like the distribution; None for none."""
        stem = name.replace("-", "_")
        info = folder / f"{stem}-{version}.dist-info"
        info.mkdir(parents=True)
        headers = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {text}" for text in requires)]
        (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *headers]) + "\n")
        groups = [f"[mlbench.{kind}]\n" + "\n".join(lines) for kind, lines in points.items()]
        (info / "entry_points.txt").write_text("\n".join(groups) + "\n")
        if origin is not None:
            (info / "direct_url.json").write_text(json.dumps(origin))
        if source is not None:
            (folder / f"{stem}.py").write_text(source)
        entries.cache_clear()
        return folder

    yield install
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]
    monkeypatch.undo()
    entries.cache_clear()


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    """Install the package ``misbehaving``, for worker processes too."""
    from mlbench.registry import entries

    folder = tmp_path / "site"
    info = folder / "misbehaving-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
    points = {"turns-nan": "TurnsNaN", "kills-once": "KillsOnce", "refuses": "Refuses"}
    lines = [f"{name} = misbehaving_losses:{cls}" for name, cls in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[mlbench.losses]", *lines]) + "\n")
    (folder / "misbehaving_losses.py").write_text(MISBEHAVING)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    entries.cache_clear()
    yield
    monkeypatch.undo()
    sys.modules.pop("misbehaving_losses", None)
    entries.cache_clear()
