"""The rooms import one another in one direction only, as pyproject.toml draws them."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rooms_import_only_from_the_rooms_before_them():
    # In a process of its own, since it sets up logging for all of it.
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert " 0 broken" in answer.stdout and "Rooms import only from the rooms before them KEPT" in answer.stdout


def test_every_room_has_its_place():
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    placed = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    packages = {path.parent.name for path in (ROOT / "mlbench").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "mlbench").glob("*.py")} - {"__init__"}
    assert placed == {"mlbench_kernels", *(f"mlbench.{name}" for name in packages | modules)}
