"""Distributions that mean harm, installed for real: each fails the commands that select it, and no other."""

import json
import os
import subprocess
import sys

import pytest

COMPONENT = "class Loss: pass"
#: name: (source, its entry point's name, what selecting it says). The entry point's distribution is ``hostile-<name>``.
HOSTILE = {
    "raises": ("raise RuntimeError('no licence server')", "bad", "RuntimeError: no licence server"),
    "exits": ("import sys; sys.exit(3)", "bad", "SystemExit: 3"),
    "dies": ("import os; os._exit(5)", "bad", "exit code 5"),
    "loops": ("import time\nwhile True: time.sleep(1)", "bad", "did not end within 2 s"),
    "newer": (
        "from mlbench.api import ComponentInfo\nclass Loss: info = ComponentInfo(api=2)",
        "bad",
        "too new: made for version 2 of the plugin API of losses, this mlbench has 1; upgrade: "
        "`pip install --upgrade mlbench-dml`",
    ),
    "prints": (f"print('[NOISE]')\n{COMPONENT}", "bad", None),
    "claims": (COMPONENT, "contrastive", None),
}
#: Selecting one of these in this process would take it along.
DEADLY = ("dies", "loops")

#: A benchmark that uses a bare name of the harness which one of them claims.
BENCHMARK = """
extends = "smoke"
name = "tiny"
dataset = { id = "glyphs", max_classes = 40 }
folds = 2
reproductions = 1
model = { trunk = { id = "conv-small", width = 4 }, embedding_size = 8 }
training = { batch_size = 8, iterations_per_epoch = 1, max_epochs = 1, evaluate_every = 1 }
methods = ["Untrained", { name = "Plain", loss = "contrastive" }]
"""

ALL = {"MLBENCH_PLUGINS": ",".join([*(f"hostile-{name}" for name in HOSTILE if name != "loops"), "shadowed"])}
COMMANDS = {
    "help": ({}, "--help"),
    "ls": ({}, "ls --json"),
    "ls plugins": ({}, "ls plugins --json"),
    **{
        f"show {n}": ({}, f"show losses/hostile-{n}/{point}") for n, (_, point, _) in HOSTILE.items() if n not in DEADLY
    },
    "show shadowed": ({}, "show losses/shadowed/hinge"),
    "show": ({}, "show losses/contrastive"),
    "plan": ({}, "plan {root}/tiny.toml --json"),
    "run": ({}, "run {root}/tiny.toml --store {root}/store --workers 1 --json"),
    "status": ({}, "status {root}/tiny.toml --store {root}/store --json"),
    "leaderboard": ({}, "leaderboard {root}/store --json"),
    "doctor loops": ({"MLBENCH_PLUGINS": "hostile-loops"}, "doctor --timeout 2 --json"),
    "doctor": (ALL, "doctor --json"),
    "ls none": ({}, "--no-plugins ls --json"),
}

DRIVER = """
import contextlib, io, json, os, sys
from mlbench.cli import main
from mlbench.registry import entries

answers = []
for environment, arguments in json.load(sys.stdin):
    os.environ.update(environment)
    entries.cache_clear()
    sys.argv = ["mlbench", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as leave:
            code = leave.code
    answers.append((code, out.getvalue(), err.getvalue()))
with open(os.environ["ANSWERS"], "w") as file:
    json.dump(answers, file)
"""


def install(folder, name, source, points, version="6.6"):
    stem = name.replace("-", "_")
    info = folder / f"{stem}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{point} = {stem}:Loss" for point in points]
    (info / "entry_points.txt").write_text("\n".join(["[mlbench.losses]", *lines]) + "\n")
    if source is not None:
        (folder / f"{stem}.py").write_text(source)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """What a command says where all of them are installed: exit code, output, messages. One process ran them all."""
    root = tmp_path_factory.mktemp("hostile")
    first, second = root / "first", root / "second"
    for name, (source, point, _) in HOSTILE.items():
        install(second, f"hostile-{name}", source, [point] + ["mlbench/contrastive"] * (name == "claims"))
    install(second, "shadowed", COMPONENT, ["hinge"], version="2.0")
    install(first, "shadowed", None, ["hinge"], version="1.0")  # metadata alone, before the real ones
    install(first, "mlbench-dml", COMPONENT, ["contrastive", "triplet-margin"], version="99.0")
    (root / "tiny.toml").write_text(BENCHMARK)
    given = {name: (changes, line.format(root=root).split()) for name, (changes, line) in COMMANDS.items()}
    path = os.pathsep.join([str(first), str(second)])
    subprocess.run(
        [sys.executable, "-P", "-c", DRIVER],
        input=json.dumps(list(given.values())),
        env=os.environ | {"PYTHONPATH": path, "ANSWERS": str(root / "answers")},
        text=True,
        check=True,
    )
    said = json.loads((root / "answers").read_text())
    return dict(zip(given, said, strict=True)).__getitem__


def faults(answer, verb):
    """Problems that the doctor found, by what they are of."""
    return {found["what"]: found["detail"] for found in json.loads(answer(verb)[1]) if found["state"] == "problem"}


OTHERS = ("help", "ls", "ls plugins", "show", "plan", "run", "status", "leaderboard", "ls none")


@pytest.mark.parametrize("verb", OTHERS)
def test_every_other_command_works_and_says_nothing_of_them(answer, verb):
    code, out, err = answer(verb)
    assert code == 0, err
    assert out and "hostile" not in err and "[NOISE]" not in out + err


def test_the_harness_is_still_the_harness(answer):
    listed = json.loads(answer("ls")[1])["losses"]
    own = {row["id"]: row["version"] for row in listed if row["distribution"] == "mlbench-dml"}
    assert len(own) > 30 and "99.0" not in own.values()
    assert answer("show")[1].startswith("mlbench/contrastive  (mlbench-dml ")
    assert {row["method"] for row in json.loads(answer("leaderboard")[1])} == {"Plain", "Untrained"}
    assert json.loads(answer("run")[1])["failed"] == {}


def test_they_are_all_listed_with_what_is_known_without_importing_them(answer):
    rows = {(row["id"], row["version"]): row for row in json.loads(answer("ls plugins")[1])}
    for name, (_, point, _) in HOSTILE.items():
        row = rows[f"hostile-{name}", "6.6"]
        assert row["state"] == "ok" and f"losses/hostile-{name}/{point}" in row["components"]
    assert rows["hostile-claims", "6.6"]["notes"] and not rows["hostile-prints", "6.6"]["problems"]
    for key in (("shadowed", "1.0"), ("shadowed", "2.0"), ("mlbench-dml", "99.0")):
        (problem,) = rows[key]["problems"]
        assert problem["state"] == "shadowed" and problem["cause"] and f"pip uninstall {key[0]}" in problem["remedy"]


@pytest.mark.parametrize("name", [name for name, (_, _, says) in HOSTILE.items() if says and name not in DEADLY])
def test_selecting_one_that_cannot_be_used_says_why(answer, name):
    code, out, err = answer(f"show {name}")
    assert (code, out) == (1, "")
    assert err.startswith("mlbench: error: ") and "Traceback" not in err
    for part in (HOSTILE[name][2], "hostile-" + name + " 6.6", "entry point 'bad'"):
        assert part in err


def test_selecting_what_another_distribution_shadows_says_where_both_are(answer):
    code, out, err = answer("show shadowed")
    assert (code, out) == (1, "")
    assert "shadowed/hinge: shadowed" in err and "2.0 in" in err and "first" in err and "second" in err


def test_what_one_prints_does_not_get_into_the_output(answer):
    code, out, err = answer("show prints")
    assert code == 0 and out.startswith("hostile-prints/bad") and "[NOISE]" not in out and "[NOISE]" in err


def test_a_built_ins_name_can_be_used_in_full_by_who_claims_it(answer):
    code, out, _ = answer("show claims")
    assert code == 0 and out.startswith("hostile-claims/contrastive  (hostile-claims 6.6")


def test_the_doctor_names_each_and_survives_them_all(answer):
    code, _, err = answer("doctor")
    found = faults(answer, "doctor")
    assert code == 1 and "Traceback" not in err
    for name, (_, point, says) in HOSTILE.items():
        said = found.pop(f"losses/hostile-{name}/{point}", "")
        if says and name != "loops":
            assert says in said and f"hostile-{name} 6.6" in said
        else:
            assert not said
    assert set(found) == {"shadowed 1.0", "shadowed 2.0", "mlbench-dml 99.0"}


def test_the_doctor_does_not_wait_for_ever(answer):
    said = faults(answer, "doctor loops")["losses/hostile-loops/bad"]
    assert answer("doctor loops")[0] == 1
    assert HOSTILE["loops"][2] in said and "hostile-loops 6.6" in said


def test_without_plugins_there_is_the_harness_alone(answer):
    listed = json.loads(answer("ls none")[1])
    assert {row["distribution"] for row in listed["losses"]} == {"mlbench-dml"}
    assert {row["state"] for row in listed["plugins"]} == {"switched off", "shadowed"}
