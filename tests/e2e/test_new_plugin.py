"""From nothing to a row of a leaderboard: the commands at the top of docs/plugins.md, in a fresh environment."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: No package index is needed, and the fresh environment has no scripts of what it borrows.
PROGRAMS = {
    "pip": ["-m", "pip", "--disable-pip-version-check", "--no-input"],
    "pytest": ["-m", "pytest", "-p", "no:cacheprovider"],
    "mlbench": ["-c", "from mlbench.cli import main; main()"],
}
OFFLINE = ["--no-deps", "--no-build-isolation", "--quiet"]


def commands():
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    return re.search(r"^```\n(.*?)^```", page, flags=re.S | re.M)[1].splitlines()


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment in which nothing is installed, but which sees what is installed here."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("[Ll]ib/**/site-packages")
    (site / "borrowed.pth").write_text("\n".join(path for path in sys.path if Path(path).is_dir()))
    (binary,) = (path for path in folder.glob("*/python*") if path.stem == "python")
    return str(binary)


def test_every_command_of_the_guide_works_without_an_edit(python, tmp_path):
    output = {}
    for command in commands():
        program, *arguments = shlex.split(command)
        arguments += OFFLINE if program == "pip" else []
        done = subprocess.run(
            [python, *PROGRAMS[program], *arguments],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        output[f"{program} {arguments[0]}" if program == "mlbench" else program] = done.stdout
    assert re.search(r"\d+ passed", output["pytest"]) and "failed" not in output["pytest"]
    kinds = ("losses/acme-losses/cosine-hinge", "miners/acme-losses/hardest", "datasets/acme-losses/patterns")
    assert all(component in output["mlbench check"] for component in kinds)
    assert re.search(r"\| \d +\| Cosine hinge +\| \d", output["mlbench run"])
    assert " 0 failed" in output["mlbench run"]


def test_the_package_is_complete(mlbench, tmp_path):
    code, out, _ = mlbench("init-plugin", "my-2nd-metric", "--into", tmp_path)
    folder = tmp_path / "my-2nd-metric"
    assert code == 0
    for name in (
        ".gitignore",
        ".github/workflows/test.yml",
        ".github/workflows/performance.yml",
        "tests/perf/bench_loss.py",
        "README.md",
        "tests/test_plugin.py",
        "my_2nd_metric/loss.py",
    ):
        assert str(folder / name) in out
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert not any(word in file.read_text() for word in ("$name", "$module", "$$", "acme") for file in files)
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "my-2nd-metric"
    points = {kind: list(names.values()) for kind, names in project["project"]["entry-points"].items()}
    assert points == {
        "mlbench.losses": ["my_2nd_metric.loss:CosineHinge"],
        "mlbench.miners": ["my_2nd_metric.miner:Hardest"],
        "mlbench.datasets": ["my_2nd_metric.dataset:Patterns"],
    }


def test_an_existing_folder_stays_as_it_is(mlbench, tmp_path):
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "README.md").write_text("mine")
    code, out, err = mlbench("init-plugin", "acme", "--into", tmp_path)
    assert code == 1 and not out and "exists; nothing was written" in err
    assert [file.name for file in (tmp_path / "acme").iterdir()] == ["README.md"]
    assert (tmp_path / "acme" / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "Acme_Losses",
            "cannot name a package: lower-case letters, digits and single hyphens, for example acme-losses",
        ),
        ("../acme", "cannot name a package"),
        ("2nd", "cannot name a package"),
        ("-", "cannot name a package"),
        ("torch", "'torch' is taken: Python or an installed package has a module torch"),
        ("mlbench-kernels", "'mlbench-kernels' is taken"),
        ("class", "'class' is taken"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(mlbench, tmp_path, name, said):
    code, out, err = mlbench("init-plugin", "--into", tmp_path, "--", name)
    assert code == 1 and not out and said in err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused(mlbench, tmp_path):
    code, _, err = mlbench("init-plugin", "acme", "--into", tmp_path / "nowhere")
    assert code == 1 and "is no folder; create it first" in err
