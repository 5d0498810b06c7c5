"""Verdicts from ratios and counts, files of pytest-benchmark, the baseline, the history, the two sides."""

import json
import os
import subprocess
from itertools import combinations, cycle
from pathlib import Path

import numpy as np
import pytest

from mlbench.perf import baseline, history, sessions
from mlbench.perf.compare import compare
from mlbench.perf.comparison import Comparison
from mlbench.perf.render import as_json, as_markdown
from mlbench.perf.saved import compare_saved
from mlbench.perf.sessions import Session
from mlbench.perf.sides import PerfError, Side, install
from mlbench.perf.statistics import Interval, least_ratio
from mlbench.perf.verdict import Verdict, counted, timed

CPU = {"node": "here", "cpu": {"brand_raw": "A processor"}, "python_version": "3.11.7"}


# -- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "head", "state"),
    [
        ([1.0] * 7, [1.2] * 7, "slower"),
        ([1.0] * 7, [1.0] * 7, "same"),
        ([1.0] * 7, [1.04] * 7, "same"),
        ([1.0] * 7, [0.8] * 7, "faster"),
        ([1.0, 1.8] * 8, [1.9, 1.2] * 8, "slower"),  # half of the rounds disturbed
        ([1.0] * 15, [1.0] + [3.0] * 14, "same"),
        ([1.0] * 3 + [1.5] * 12, [1.3] * 15, "undecided"),
        ([1.0] * 4, [2.0] * 4, "undecided"),
        ([], [], "undecided"),
    ],
)
def test_times_are_judged_by_all_rounds(base, head, state):
    assert timed("op", base, head).state == state


def test_few_rounds_are_said_to_be_few():
    assert timed("op", [1.0] * 4, [2.0] * 4).cause == "4 rounds are too few"


def test_unchanged_code_in_noise_is_hardly_ever_refused_and_a_slowdown_is_found():
    generator = np.random.default_rng(0)
    # As on two threads of one core: 2% of noise above the least time, and two thirds more in half of the rounds.
    shape = (2, 1000, 15)
    base, other = np.exp(np.abs(generator.normal(scale=0.02, size=shape)) + generator.choice([0.0, 0.5], size=shape))
    assert sum(timed("op", *pair).state == "slower" for pair in zip(base, other, strict=True)) <= 10
    assert sum(timed("op", *pair).state == "slower" for pair in zip(base, 1.3 * other, strict=True)) >= 600


@pytest.mark.parametrize("rounds", [5, 7])
def test_an_interval_of_the_ratio_is_as_sure_as_it_says(rounds):
    # Of equal sides every assignment of the ranks to them is equally likely.
    places = set(range(1, 2 * rounds + 1))
    found = [least_ratio(base, sorted(places - set(base))) for base in combinations(sorted(places), rounds)]
    for outside in (sum(one.low > 1 for one in found), sum(one.high < 1 for one in found)):
        assert 0 < outside <= 0.01 * len(found)


@pytest.mark.parametrize(
    ("head", "cause"),
    [
        ({"flops": 2000, "allocations": 3, "operators": 9, "bytes": 100_000}, "flops 1,000 -> 2,000"),
        ({"flops": 1000, "allocations": 3, "operators": 9, "bytes": 110_000}, "bytes 100,000 -> 110,000"),
        ({"flops": 1000, "allocations": 4, "operators": 9, "bytes": 100_000}, "allocations 3 -> 4"),
    ],
)
def test_more_of_anything_is_refused(head, cause):
    base = {"flops": 1000, "allocations": 3, "operators": 9, "bytes": 100_000}
    assert counted("op", base, head) == Verdict("op", "hungrier", cause=cause)
    assert counted("op", head, base).state == "same"


# -- files of pytest-benchmark ---------------------------------------------------------------------------------------


def file_of(folder, name, seconds, machine=CPU):
    """A file as ``pytest --benchmark-json`` writes it, as far as anybody reads it."""
    benchmarks = [{"fullname": f"tests/perf/{test}", "stats": {"min": value}} for test, value in seconds.items()]
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine_info": machine, "benchmarks": benchmarks}))
    return str(path)


def test_saved_files_are_compared(tmp_path):
    for i in range(9):
        file_of(tmp_path, f"base/{i}.json", {"bench_x.py::test_x": 1.0 + i / 100, "bench_y.py::test_y": 1.0})
        file_of(tmp_path, f"head/{i}.json", {"bench_x.py::test_x": 1.5 + i / 100})
    found = compare_saved(str(tmp_path / "base"), str(tmp_path / "head"))
    slow, gone = found.verdicts
    assert (slow.name, slow.state, slow.cause) == ("bench_x.py::test_x", "slower", "+50%")
    assert (gone.name, gone.state) == ("bench_y.py::test_y", "gone")


def test_two_files_alone_are_too_few(tmp_path):
    found = compare_saved(*(file_of(tmp_path, name, {"bench_x.py::test_x": 1.0}) for name in ("b", "h")))
    assert [one.cause for one in found.verdicts] == ["1 rounds are too few"]
    assert found.undecided


def test_files_of_different_machines_are_refused(tmp_path, mlbench):
    base = file_of(tmp_path, "b", {"bench_x.py::test_x": 1.0})
    head = file_of(tmp_path, "h", {"bench_x.py::test_x": 1.0}, CPU | {"node": "elsewhere"})
    code, _, err = mlbench("perf", "compare", base, head)
    assert code == 1
    assert "different machines" in err


def test_a_file_is_not_compared_with_a_package(tmp_path):
    with pytest.raises(PerfError, match=r"neither a file of pytest-benchmark nor a folder of them"):
        compare_saved(file_of(tmp_path, "b", {}), "main")


def test_unequal_numbers_of_files_are_refused(tmp_path):
    file_of(tmp_path, "base/1.json", {}), file_of(tmp_path, "base/2.json", {}), file_of(tmp_path, "head/1.json", {})
    with pytest.raises(PerfError, match=r"base has 2 files and .*head 1"):
        compare_saved(str(tmp_path / "base"), str(tmp_path / "head"))


@pytest.mark.parametrize("text", ["", "[]", '{"benchmarks": [{}]}', '{"benchmarks": [{"fullname": "x"}]}'])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(PerfError, match=r"other\.json: not a file of pytest-benchmark"):
        sessions.read(tmp_path / "other.json")


# -- a comparison on simulated processes -----------------------------------------------------------------------------


class Revisions:
    """Stands in for the process that measures: what each side has, told by its folder and whose benchmarks are run."""

    def __init__(self, folder):
        self.folder, self.seconds, self.flops, self.rounds, self.gpu = folder, {}, {}, 0, False

    def side(self, name, **seconds):
        """A side with its own benchmarks, which take so many seconds; None: it fails."""
        benchmarks = self.folder / name / "perf"
        benchmarks.mkdir(parents=True, exist_ok=True)
        for test in seconds:
            (benchmarks / f"bench_{test}.py").write_text(f"def test_{test}(benchmark): ...  # {name}")
        self.seconds[name] = seconds
        return Side(name, name, self.folder / name, self.folder / name)

    def _value(self, value):
        """Of several values the next one, over and over."""
        return next(value) if isinstance(value, cycle) else value

    def run(self, benchmarks, sites=(), *, only="", count=False):
        tests = {file.stem.removeprefix("bench_") for path in benchmarks for file in path.glob("*.py")}
        found = {test: self._value(value) for test, value in self.seconds[sites[0].name].items() if test in tests}
        names = {test: f"bench_{test}.py::test_{test}" for test in found}
        works = {names[test]: value for test, value in found.items() if value is not None}
        failures = {names[test]: "Boom" for test, value in found.items() if value is None}
        flops = self.flops.get(sites[0].name, 1)
        counts = {name: {"flops": flops} for name in works} if count else {}
        self.rounds += not count
        return Session(CPU, works, counts, failures, self.gpu)


@pytest.fixture
def revisions(tmp_path, monkeypatch):
    """Sides that are measured without a process."""
    made = Revisions(tmp_path)
    monkeypatch.setattr(sessions, "run", made.run)
    monkeypatch.chdir(tmp_path)
    return made


def compared(revisions, base, head):
    """In the folder of head, as a pull request is."""
    os.chdir(head.source)
    return compare(base, head, [Path("perf")])


def test_a_removed_benchmark_is_said_and_no_pass(revisions):
    found = compared(revisions, revisions.side("base", x=1.0, y=1.0), revisions.side("head", x=1.0))
    assert {one.name: one.state for one in found.verdicts} == {
        "bench_x.py::test_x": "same",
        "bench_y.py::test_y": "gone",
    }
    assert (found.refused, found.undecided) == (False, True)
    assert "### Performance: 1 gone\n" in as_markdown(found)


def test_a_benchmark_that_fails_on_head_is_no_pass(revisions):
    found = compared(revisions, revisions.side("base", x=1.0), revisions.side("head", x=None))
    assert [(one.state, one.cause) for one in found.verdicts] == [("failed", "on head: Boom")]
    assert found.undecided


def test_what_base_cannot_run_is_new(revisions):
    found = compared(revisions, revisions.side("base", x=1.0, y=None), revisions.side("head", x=1.0, y=1.0, z=1.0))
    states = {one.name[-1]: (one.state, one.cause) for one in found.verdicts}
    assert states["y"] == ("new", "nothing to compare with, base says: Boom")
    assert states["z"] == ("new", "nothing to compare with")
    assert not found.undecided


def test_what_seems_slower_is_looked_at_again(revisions):
    found = compared(revisions, revisions.side("base", x=1.0), revisions.side("head", x=1.2))
    assert [(one.state, one.cause) for one in found.verdicts] == [("slower", "+20%")]
    assert revisions.rounds == 2 * (7 + 15)
    assert found.verdicts[0].ratio.rounds == 15


def test_what_is_hungrier_is_refused_however_fast_it_is(revisions):
    revisions.flops["head"] = 2
    for slower in (0.5, 1.2):
        found = compared(revisions, revisions.side(f"base{slower}", x=1.0), revisions.side("head", x=slower))
        assert [(one.state, one.cause) for one in found.verdicts] == [("hungrier", "flops 1 -> 2")]
        assert found.verdicts[0].ratio.middle == slower


def test_an_undecided_look_is_continued(revisions):
    base = revisions.side("base", x=cycle([*[1.5] * 3, 1.0, *[1.5] * 10]))
    found = compared(revisions, base, revisions.side("head", x=1.3))
    assert [one.state for one in found.verdicts] == ["undecided"]
    assert found.verdicts[0].ratio.rounds == 60
    assert found.undecided


# -- a GPU -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put an `nvidia-smi` on the path that says these lines."""

    def make(processes, clocks):
        script = tmp_path / "bin" / "nvidia-smi"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\ncase $1 in *compute-apps*) printf '{processes}';; *) printf '{clocks}';; esac\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)

    return make


@pytest.mark.parametrize(
    ("processes", "clocks", "said"),
    [
        ("", "0, 0x0000000000000001\\n0, 0x0000000000000004\\n", []),  # idle; at its power limit
        ("", "0, [N/A]\\n0, 0x00", []),
        ("", "0, 0x0000000000000000\\n1, 0x0000000000000020\\n", ["GPU 1 is throttled: too hot"]),
        ("4711, python\\n", "0, 0x0000000000000000\\n", ["the GPU is shared with process 4711, python"]),
    ],
)
def test_a_gpu_in_trouble_makes_times_undecided(revisions, nvidia_smi, processes, clocks, said):
    nvidia_smi(processes, clocks)
    revisions.gpu = True
    found = compared(revisions, revisions.side("base", x=1.0), revisions.side("head", x=1.0))
    assert list(found.troubles) == said
    assert found.undecided == bool(said)
    assert ("times that say nothing" in as_markdown(found)) == bool(said)


def test_a_gpu_that_no_benchmark_uses_does_not_matter(revisions, nvidia_smi):
    nvidia_smi("4711, python\\n", "0, 0x0000000000000020\\n")
    found = compared(revisions, revisions.side("base", x=1.0), revisions.side("head", x=1.0))
    assert not found.undecided


def test_without_a_gpu_nothing_is_asked(revisions, monkeypatch):
    monkeypatch.setenv("PATH", "")
    revisions.gpu = True
    assert not compared(revisions, revisions.side("base", x=1.0), revisions.side("head", x=1.0)).undecided


# -- what is shown ---------------------------------------------------------------------------------------------------


def comparison(*verdicts):
    return Comparison("main (0123456789ab)", ". (/here)", verdicts, "A processor")


def test_the_comment_begins_with_the_verdict():
    slow = Verdict("bench_x.py::test_x", "slower", Interval(1.1, 1.2, 1.3, 15), "+20%")
    text = as_markdown(comparison(slow, Verdict("bench_y.py::test_y", "same", Interval(0.99, 1.0, 1.01, 7))))
    assert text.startswith("### Performance: 1 slower\n")
    assert "| ❌ | `bench_x.py::test_x` | slower | 1.200 (1.100 to 1.300) | +20% |" in text
    assert "| ✅ | `bench_y.py::test_y` | same | 1.000 (0.990 to 1.010) |  |" in text


@pytest.mark.parametrize(
    ("verdicts", "refused", "undecided"),
    [
        ((Verdict("x", "same"),), False, False),
        ((Verdict("x", "faster"), Verdict("y", "new")), False, False),
        ((Verdict("x", "slower"),), True, False),
        ((Verdict("x", "hungrier"), Verdict("y", "failed")), True, True),
        ((Verdict("x", "undecided"),), False, True),
        ((), False, True),  # nothing compared is no pass
    ],
)
def test_only_what_was_compared_passes(verdicts, refused, undecided):
    found = comparison(*verdicts)
    assert (found.refused, found.undecided) == (refused, undecided)
    content = json.loads(as_json(found))
    assert (content["refused"], content["undecided"]) == (refused, undecided)


# -- the baseline ----------------------------------------------------------------------------------------------------

FOUND = {
    "torch": "2.13.0",
    "imports": ["typer"],
    "operations": {"x": {"flops": 10, "bytes": 1000, "allocations": 1, "operators": 2}},
}


def test_a_baseline_changes_only_with_a_reason(tmp_path):
    file = tmp_path / "counted.json"
    with pytest.raises(PerfError, match="--reason"):
        baseline.bless(file, FOUND, "")
    assert not file.exists()
    assert baseline.bless(file, FOUND, "the first one") == ["x"]
    assert baseline.differences(baseline.read(file), FOUND) == []
    more = FOUND | {"operations": {"x": FOUND["operations"]["x"] | {"flops": 20}}}
    assert baseline.differences(baseline.read(file), more) == ["x: flops 10 -> 20"]
    assert baseline.bless(file, more, "a second pass is needed") == ["x"]
    assert [one["reason"] for one in baseline.read(file)["reasons"]] == ["the first one", "a second pass is needed"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"operations": {}}, "x: is in the baseline, but not measured any more"),
        ({"operations": FOUND["operations"] | {"y": {}}}, "y: is not in the baseline"),
        ({"imports": ["torch", "typer"]}, "imported by mlbench --help: torch"),
    ],
)
def test_what_is_gone_or_new_is_said(change, said):
    assert baseline.differences(FOUND, FOUND | change) == [said]


def test_counts_of_another_torch_are_not_compared():
    with pytest.raises(PerfError, match=r"counted with torch 2\.13\.0, this is 2\.14\.0"):
        baseline.differences(FOUND, FOUND | {"torch": "2.14.0"})


def test_a_missing_baseline_is_named(tmp_path):
    with pytest.raises(PerfError, match=r"counted\.json: no baseline"):
        baseline.read(tmp_path / "counted.json")


# -- the history -----------------------------------------------------------------------------------------------------


def test_the_history_is_appended_and_shown(tmp_path):
    file = tmp_path / "performance" / "history.jsonl"
    medians = [Session(CPU, {"bench_x.py::test_x": seconds}, {}, {}) for seconds in (0.001, 0.0005, 0.02)]
    history.append(file, "aaaaaaaaaaaa", medians)
    later = {"bench_x.py::test_x": 0.002, "bench_y.py::test_y": 1.0}
    history.append(file, "bbbbbbbbbbbb", [Session(CPU, later, {}, {})])
    text = history.as_markdown(history.read(file))
    assert "| operation | aaaaaaaaa | bbbbbbbbb |" in text
    assert "| `bench_x.py::test_x` | 1 | 2 |" in text
    assert "| `bench_y.py::test_y` | — | 1e+03 |" in text
    history.plot(history.read(file), tmp_path / "history.svg")
    assert ">y<" in (tmp_path / "history.svg").read_text()


@pytest.mark.parametrize("line", ["no json", "[]", '{"format": 2}'])
def test_a_damaged_history_is_named(tmp_path, line):
    (tmp_path / "history.jsonl").write_text(line + "\n")
    with pytest.raises(PerfError, match=r"history\.jsonl"):
        history.read(tmp_path / "history.jsonl")


# -- the sides -------------------------------------------------------------------------------------------------------

PROJECT = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n[project]\nname = "acme"\n'


@pytest.fixture
def repository(tmp_path):
    """A package with one function in a git repository; its function squares."""
    folder = tmp_path / "acme"
    (folder / "acme").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT + 'version = "1.0"\n')
    (folder / "acme" / "__init__.py").write_text("import torch\n\n\ndef square(x):\n    return x @ x\n")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    return folder


def test_an_extra_pass_is_refused_and_another_version_is_what_was_measured(tmp_path, repository):
    before = install("HEAD", tmp_path / "base", repository)
    (repository / "acme" / "__init__.py").write_text("import torch\n\n\ndef square(x):\n    x @ x\n    return x @ x\n")
    after = install(str(repository), tmp_path / "head", repository)
    (tmp_path / "bench_square.py").write_text(
        "import torch\n\n\ndef test_square(benchmark):\n    from acme import square\n\n"
        "    benchmark(square, torch.ones(32, 32))\n"
    )
    was, now = (sessions.run([tmp_path / "bench_square.py"], [side.site], count=True) for side in (before, after))
    (name,) = was.counts
    assert name == "bench_square.py::test_square"
    verdict = counted(name, was.counts[name], now.counts[name])
    assert verdict.state == "hungrier"
    assert f"flops {2 * 32**3:,} -> {4 * 32**3:,}" in verdict.cause


def test_a_base_that_does_not_install_is_an_error(repository, monkeypatch, mlbench):
    (repository / "pyproject.toml").write_text(PROJECT)  # no version
    monkeypatch.chdir(repository)
    code, out, err = mlbench("perf", "compare", ".", "HEAD")
    assert (code, out) == (1, "")
    assert "mlbench: error: . does not install, so nothing was compared" in err


def test_a_side_that_is_nothing_is_an_error(tmp_path, repository):
    with pytest.raises(PerfError, match="neither a folder, nor a git revision"):
        install("no-such-thing", tmp_path / "head", repository)


def test_a_benchmark_that_fails_is_named(tmp_path):
    (tmp_path / "bench_bad.py").write_text("def test_bad(benchmark):\n    raise RuntimeError('not today')\n")
    found = sessions.run([tmp_path / "bench_bad.py"])
    assert found.seconds == {}
    assert found.failures == {"bench_bad.py::test_bad": "RuntimeError: not today"}


def test_of_a_folder_only_benchmarks_are_run(tmp_path):
    (tmp_path / "perf").mkdir()
    (tmp_path / "perf" / "bench_script.py").write_text("raise SystemExit('a script, not a benchmark')\n")
    assert sessions.run([tmp_path / "perf"]) == Session({}, {}, {}, {})
    (tmp_path / "perf" / "bench_sum.py").write_text("def test_sum(benchmark):\n    benchmark(sum, range(100))\n")
    found = sessions.run([tmp_path / "perf"])
    assert (list(found.seconds), found.failures) == (["bench_sum.py::test_sum"], {})


def test_a_plugin_of_pytest_that_a_version_lacks_does_not_matter(tmp_path):
    info = tmp_path / "site" / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nacme = acme.not_yet_written\n")
    (tmp_path / "bench_sum.py").write_text("def test_sum(benchmark):\n    benchmark(sum, range(100))\n")
    assert list(sessions.run([tmp_path / "bench_sum.py"], [tmp_path / "site"]).seconds) == ["bench_sum.py::test_sum"]


def test_missing_benchmarks_are_an_error(tmp_path):
    with pytest.raises(PerfError, match="no such file or folder of benchmarks"):
        sessions.run([tmp_path / "bench_none.py"])
