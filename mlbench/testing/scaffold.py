"""Write a new plugin package: a loss, a miner and a dataset that conform, to be changed."""

import keyword
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from mlbench.api import ConfigError

#: The files of a plugin, in its folder, and their templates.
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "benchmark.toml": "benchmark.toml",
    ".github/workflows/test.yml": "workflow.yml",
    ".github/workflows/performance.yml": "performance.yml",
    "$module/__init__.py": "init.py",
    "$module/loss.py": "loss.py",
    "$module/miner.py": "miner.py",
    "$module/dataset.py": "dataset.py",
    "tests/test_plugin.py": "test_plugin.py",
    "tests/perf/bench_loss.py": "bench_loss.py",
}


def init_plugin(name: str, into: Path) -> list[Path]:
    """Write the package ``name`` into the folder ``into / name``.

    Args:
        name: Of the distribution: lower-case letters, digits and hyphens. Its module has underscores instead.
        into: An existing folder.

    Returns:
        The files written.

    Raises:
        ConfigError: If the name cannot be one, is taken in this environment, or the folder exists; nothing is written.
    """
    words = {"name": name, "module": name.replace("-", "_")}
    _check_name(**words)
    folder = into / name
    if not into.is_dir():
        raise ConfigError(f"init-plugin: --into {into} is no folder; create it first")
    if folder.exists():
        raise ConfigError(f"init-plugin: {folder} exists; nothing was written. Choose another name or another --into")
    templates = files("mlbench.testing") / "template"
    written = []
    for place, template in _FILES.items():
        file = folder / Template(place).substitute(words)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / f"{template}.tmpl").read_text(encoding="utf-8")
        file.write_text(Template(text).substitute(words), encoding="utf-8")
        written.append(file)
    return written


def _check_name(name: str, module: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = f", for example {near}" if near else ""
        raise ConfigError(
            f"init-plugin: {name!r} cannot name a package: lower-case letters, digits and single hyphens{hint}"
        )
    if keyword.iskeyword(module) or module == "tests" or find_spec(module):
        raise ConfigError(
            f"init-plugin: {name!r} is taken: Python or an installed package has a module {module}; choose another name"
        )
