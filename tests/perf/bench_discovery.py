"""`mlbench ls` with 200 plugins installed, beside `mlbench ls` without any: whole processes, in turns.

Run by hand, on an idle machine:

    pytest tests/perf/bench_discovery.py -s

Nothing asserts a time; that all plugins are listed and none is imported is asserted.
"""

import os
import subprocess
import sys
import time
from statistics import median

ROUNDS = int(os.environ.get("MLBENCH_BENCH_ROUNDS", "9"))
PLUGINS = 200
README = "A sentence of a long description, as packages have them.\n" * 100


def install(folder, number):
    """One package with a loss and a miner; importing it would end the process."""
    name = f"acme-{number:03d}"
    module = name.replace("-", "_")
    info = folder / f"{module}-1.{number}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.{number}\nRequires-Dist: mlbench-dml>=0.1\n\n{README}"
    )
    points = f"[mlbench.losses]\nloss = {module}.loss:Loss\n[mlbench.miners]\nminer = {module}.miner:Miner\n"
    (info / "entry_points.txt").write_text(points)
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text("raise SystemExit('imported')\n")


def listed(path):
    """Wall seconds, seconds of the processor and output of one `mlbench ls`."""
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-c", "import sys; from mlbench.cli import main; sys.argv = ['mlbench', 'ls']; main()"]
    environment = os.environ | {"PYTHONPATH": str(path)}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used, output


def test_ls(tmp_path):
    (full := tmp_path / "full").mkdir()
    (empty := tmp_path / "empty").mkdir()
    for number in range(PLUGINS):
        install(full, number)
    found = {"no plugin": [], f"{PLUGINS} plugins": []}
    for _ in range(ROUNDS):
        for name, path in zip(found, (empty, full), strict=True):
            found[name].append(listed(path))
    print("\n| mlbench ls | median wall s | least wall s | median processor s |\n|---|---|---|---|")
    for name, runs in found.items():
        walls, used = ([run[part] for run in runs] for part in (0, 1))
        print(f"| {name} | {median(walls):.2f} | {min(walls):.2f} | {median(used):.2f} |")
    assert found[f"{PLUGINS} plugins"][0][2].count("  ok  losses/acme-") == PLUGINS
