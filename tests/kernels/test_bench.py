"""The benchmark: its checks find what is wrong, nothing that fails stops it, and its tables say what was measured."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bench_machine import Trouble
from brute import run_python
from mlbench_kernels.bench.__main__ import main
from mlbench_kernels.bench.case import COMPILED, DENSE, OURS, PML, PRODUCT, Bar, Case, Setting, Shape, fours
from mlbench_kernels.bench.cases import all_cases
from mlbench_kernels.bench.data import Batch, make_batch
from mlbench_kernels.bench.gradients import Evaluated, evaluate, judge_loss, loss_provider
from mlbench_kernels.bench.measure import contestants, measure
from mlbench_kernels.bench.readme import render
from mlbench_kernels.bench.report import Results, bar_table
from mlbench_kernels.bench.rows import Contestant, Row
from mlbench_kernels.bench.timing_cpu import Cpu
from mlbench_kernels.bench.timing_gpu import Gpu
from mlbench_kernels.bench.worker import Options, Worker

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SMALL = Shape(60, 8, 15)
CASES = {case.operation: case for case in all_cases()}


@pytest.mark.parametrize("operation", CASES)
def test_everyone_agrees_with_float64_on_the_cpu(operation):
    rows = measure(CASES[operation], SMALL, Cpu(), turns=0.0)
    assert {row.provider for row in rows} == {
        provider.name for provider in CASES[operation].providers if "cpu" in provider.devices
    }
    assert not [row for row in rows if row.error or row.wrong]
    (ours,) = (row for row in rows if row.provider == OURS)
    assert ours.checked > 0
    assert ours.seconds_20 <= ours.seconds <= ours.seconds_80
    assert ours.calls >= 3
    for product in (row for row in rows if row.provider == PRODUCT):
        assert ours.product_share == pytest.approx(product.seconds / ours.seconds)


SPOILT = {
    "batch-hard": lambda positive, negative: (positive, torch.arange(60)),
    "hard-positives": lambda index: index.roll(1),
    "easy-positives": lambda index: torch.arange(60),
    "hard-negatives": lambda index: torch.full_like(index, -1),
    "easy-negatives": lambda index: index.roll(1),
    "top-10 negatives": lambda index: index.flip(1),
    "semi-hard": lambda anchor, positive, negative: (anchor, positive, positive),
    "multi-similarity": lambda a, p, b, n: (a, p, b[1:], n[1:]),
}


@pytest.mark.parametrize("operation", SPOILT)
@pytest.mark.parametrize("precision", ["ieee", "bf16"])
def test_a_wrong_answer_is_told_from_rounding(operation, precision):
    case, batch = CASES[operation], make_batch(SMALL, CPU)
    provider = next(provider for provider in case.providers if provider.name == DENSE)
    answer = provider.answer(provider.prepare(batch, Setting("blocked", "ieee"))())
    judge = case.judge(batch)
    assert judge(answer, precision).passed
    spoilt = SPOILT[operation](*answer if isinstance(answer, tuple) else [answer])
    verdict = judge(spoilt, precision)
    assert verdict.differ > 0
    assert not verdict.passed


def test_a_pick_beyond_float32_but_within_bfloat16_passes_only_there():
    batch = make_batch(SMALL, CPU)
    near = batch.embeddings.clone()
    near[1] = torch.nn.functional.normalize(near[0] + 1e-3 * near[2], dim=0)  # rows 0 and 1 are almost one
    batch = batch._replace(embeddings=near, labels=torch.arange(60) // 2 * 2 + torch.arange(60) % 2)
    judge = CASES["hard-negatives"].judge(batch)
    best = (near.double() @ near.double().T).fill_diagonal_(-2).argmax(dim=1)
    assert judge(best, "ieee").differ == 0
    swapped = torch.where(best == 0, 1, torch.where(best == 1, 0, best))
    swapped[:2] = best[:2]
    assert judge(swapped, "bf16").passed
    assert not judge(swapped, "ieee").passed


def test_a_semi_hard_negative_may_be_passed_over_only_where_rounding_cannot_tell():
    degrees = torch.tensor([0.0, 40.0, 40.05, 60.0, 300.0])  # negatives just beyond the positive, farther, and as far
    embeddings = torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1)
    judge = CASES["semi-hard"].judge(Batch(embeddings, torch.tensor([0, 0, 1, 2, 3])))
    pairs = torch.tensor([0, 1]), torch.tensor([1, 0])
    assert judge((*pairs, torch.tensor([2, 4])), "ieee") == (0, 2, 0.0, judge((*pairs, pairs[0]), "ieee").bound)
    assert judge((*pairs, torch.tensor([3, 4])), "bf16").passed
    assert not judge((*pairs, torch.tensor([3, 4])), "ieee").passed
    assert not judge((*pairs, torch.tensor([-1, 4])), "bf16").passed
    assert not judge((*pairs, torch.tensor([2, 3])), "bf16").passed


def test_the_checks_on_a_gpu_with_triton():
    run_python(
        "from mlbench_kernels.bench.case import CERTIFIED, COMPILED, OURS, PML, Shape\n"
        "from mlbench_kernels.bench.cases import all_cases\n"
        "from mlbench_kernels.bench.measure import measure\n"
        "from mlbench_kernels.bench.rows import Contestant\n"
        "from bench_machine import Pretended\n"
        "without = {Contestant(name, 'ieee') for name in (COMPILED, PML)}\n"
        "without |= {Contestant(OURS + name, how) for name in ('', ' batch-hard') for how in ('ieee', 'tf32')}\n"
        "without.add(Contestant(CERTIFIED, 'tf32x3'))\n"
        "cases = {case.operation: case for case in all_cases()}\n"
        "for name in ('batch-hard', 'semi-hard', 'multi-similarity', 'top-10 negatives', 'easy-negatives'):\n"
        "    rows = measure(cases[name], Shape(48, 16, 12), Pretended(), without=without, turns=0.0)\n"
        "    ours = {row.precision: row for row in rows if row.provider == OURS}\n"
        "    row = ours['tf32x3']\n"
        "    assert row.checked and not row.failed and row.seconds > 0 and row.peak_bytes == 123, row\n"
        "    assert row.product_share > 0 and row.clock_mhz == 1980, row\n"
        "    assert 'interpreter' in ours['bf16'].error and ours['bf16'].failed, ours['bf16']\n",
        TRITON_INTERPRET="1",
    )


class Event:
    """A CUDA event on a card where everything takes the time that is set."""

    now, step = 0.0, 0.05

    def __init__(self, enable_timing=False):
        assert enable_timing

    def record(self):
        Event.now += Event.step
        self.at = Event.now

    def elapsed_time(self, other):
        return other.at - self.at  # milliseconds


class Anything:
    def __init__(self, *arguments, **options): ...
    def __enter__(self):
        return self

    def __exit__(self, *error): ...
    def wait_stream(self, other): ...
    def replay(self): ...


@pytest.fixture
def card(monkeypatch):
    """The names that `Gpu` uses must be there: monkeypatch refuses to replace what is not."""
    for name in ("Stream", "CUDAGraph", "graph", "stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Anything)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    for name, value in (("mem_get_info", (1 << 40, 1 << 40)), ("memory_allocated", 100), ("clock_rate", 1500)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 350)
    monkeypatch.setattr(Gpu, "device", CPU)
    monkeypatch.setattr(Gpu, "backend", "blocked")


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize(("milliseconds", "timer", "inner"), [(0.1, "graph", 20), (5.0, "events", 1)])
def test_short_calls_that_can_be_captured_are_timed_by_graph_replay(
    card, monkeypatch, cold, milliseconds, timer, inner
):
    monkeypatch.setattr(Event, "step", milliseconds)
    rows = measure(CASES["batch-hard"], SMALL, Gpu(cold), without={Contestant(COMPILED, "ieee")}, turns=0.0)
    found = {(row.provider, row.precision): row for row in rows}
    product, ours = found[PRODUCT, "bf16"], found[OURS, "ieee"]
    assert (product.timer, product.calls) == (timer, 3 * inner)
    assert product.seconds == pytest.approx(milliseconds / 1000 / inner)
    assert (ours.timer, ours.seconds) == ("events", pytest.approx(milliseconds / 1000))
    assert (ours.peak_bytes, ours.clock_mhz) == (250, 1500)
    assert found[OURS, "bf16"].error.startswith("ValueError: precision: 'bf16'")


def test_a_failure_or_a_dead_process_costs_one_row_and_only_ours_fail():
    worker = Worker(Options())
    try:
        rows = {row.provider: row for row in worker.measure(Trouble())}
        assert worker.peak(Trouble(), Contestant(OURS, "ieee")) >= 0
        assert worker.peak(Trouble(), Contestant("dies", "ieee")) is None
    finally:
        worker.close()
    assert {name: row.error for name, row in rows.items() if row.error} == {
        "raises": "IndexError: list index out of range",
        "dies": "the process died",
        "absent": "not installed: no_such_package",
        "hungry": rows["hungry"].error,
    }
    assert "not run: it needs about" in rows["hungry"].error
    assert rows["wrong"].wrong
    assert rows[OURS].seconds > 0
    assert not any(row.failed for row in rows.values())
    assert replace(rows["wrong"], provider=OURS).failed
    assert replace(rows["dies"], provider=OURS).failed


def test_the_command_writes_tables_and_files(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mlbench_kernels.bench", "--cpu", "--only", "easy-positives N=1024"],
        env={**os.environ, "OUT": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*/bench.json")
    rows = Results.load(file).rows
    assert {row.provider for row in rows} == {OURS, PRODUCT, DENSE}
    assert {row.differ for row in rows} == {0, None}
    assert next(row for row in rows if row.provider == OURS).peak_bytes < 64 << 20
    with file.with_suffix(".csv").open() as lines:
        assert [row["provider"] for row in csv.DictReader(lines)] == [row.provider for row in rows]
    assert json.loads(file.read_text())["environment"]["threads"] == "1"
    assert "| easy-positives | 1,024 | 128 | 4 | mlbench-kernels | ieee |" in done.stdout


def test_a_part_takes_the_place_of_its_own_rows_alone():
    other = Row("other", OURS, "ieee", 64, 8, 16)
    results = Results("cpu", {}, [other, row(OURS, error="old"), row(PML, error="old"), replace(other, count=128)])
    results.put([row(OURS)])
    assert results.rows == [other, row(OURS), replace(other, count=128)]
    results.put([replace(other, count=256)])
    assert [one.count for one in results.rows] == [64, 64, 128, 256]


def test_what_only_names_must_exist(capsys):
    assert main(["--cpu", "--only", "harder"]) == 2
    said = capsys.readouterr().err
    assert "'harder'" in said
    assert "batch-hard" in said


def row(provider, **values):
    return Row("op", provider, "ieee", *(64, 8, 16), **values)


@pytest.mark.parametrize(
    ("quantity", "limit", "against", "found", "verdict"),
    [
        ("speed", 4, PML, "5.00× (10 and 50 ms)", "met"),
        ("speed", 6, PML, "5.00× (10 and 50 ms)", "missed"),
        ("time", 0.2, PML, "0.20× (10 and 50 ms)", "met"),
        ("time", 0.19, PML, "0.20× (10 and 50 ms)", "missed"),
        ("time", 0.010, None, "10 ms", "met"),
        ("memory", 3 << 20, None, "3.0 MiB", "met"),
        ("memory", 0.1, PML, "0.50× (3.0 and 6.0 MiB)", "missed"),
        ("differ", 0, None, "1", "missed"),
        ("speed", 4, DENSE, "not run", "open"),
        ("speed", 4, PRODUCT, "", "open"),
    ],
)
def test_bars_are_met_missed_or_open(quantity, limit, against, found, verdict):
    bar = Bar("cpu", Shape(64, 8, 16), quantity, limit, against)
    case = Case("op", make_batch, lambda batch: None, (), (), (), (bar,))
    ours = row(OURS, seconds=0.010, peak_bytes=3 << 20, differ=1, checked=9)
    peer = row(PML, seconds=0.050, peak_bytes=6 << 20)
    results = Results("cpu", {"device": "this one"}, [ours, peer, row(DENSE, error="not run")])
    *_, line = bar_table([case], [results]).splitlines()
    assert [cell.strip() for cell in line.split("|")[6:9]] == ["this one", found, verdict]
    *_, line = bar_table([case], []).splitlines()
    assert [cell.strip() for cell in line.split("|")[6:9]] == ["a CPU", "", "open"]


def test_results_survive_a_file(tmp_path):
    wrong = row(OURS, seconds=0.01, excess=float("inf"), bound=1e-6)
    results = Results("cuda", {"device": "card"}, [wrong, row(PML, error="OutOfMemoryError: …")])
    results.save(tmp_path / "a" / "bench.json", tmp_path / "b" / "bench.csv")
    assert Results.load(tmp_path / "a" / "bench.json") == results
    with (tmp_path / "b" / "bench.csv").open(encoding="utf-8") as lines:
        assert [line["excess"] for line in csv.DictReader(lines)] == ["inf", ""]


def test_the_table_of_the_readme_is_that_of_the_committed_results():
    page = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
    committed = [Results.load(file) for file in sorted((ROOT / "leaderboards" / "kernels").glob("*/bench.json"))]
    assert render(page, committed) == page, "make docs"


def contrastive(x, labels):
    distance = 1 - torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(x).T
    same = labels[:, None] == labels
    return torch.where(same, distance, (0.5 - distance).relu()).sum()


@pytest.mark.parametrize("backward", [False, True])
def test_losses_are_checked_in_value_and_gradient(backward):
    case = Case(
        "contrastive",
        make_batch,
        judge_loss(contrastive, backward),
        (
            loss_provider(OURS, lambda setting: contrastive, backward),
            loss_provider("wrong", lambda setting: lambda x, labels: 1.001 * contrastive(x, labels), backward),
            loss_provider("detached", lambda setting: lambda x, labels: contrastive(x.detach(), labels), backward),
        ),
        (),
        (),
    )
    rows = {row.provider: row for row in measure(case, SMALL, Cpu(), turns=0.0)}
    assert (rows[OURS].checked, rows[OURS].differ) == (1 + backward, 0)
    assert rows["wrong"].wrong
    assert bool(rows["detached"].error) == backward
    batch = make_batch(SMALL, CPU)
    value, gradient = evaluate(contrastive, batch, True)
    gradient = gradient + 1e-3 * torch.randn_like(gradient)
    assert not judge_loss(contrastive, True)(batch)(Evaluated(value, gradient), "ieee").passed


def test_every_bar_is_about_rows_that_are_measured():
    for case in CASES.values():
        for bar in case.bars:
            assert bar.shape in (case.cpu if bar.device == "cpu" else case.gpu)
            measured = {contestant for _, contestant in contestants(case, bar.shape, bar.device)}
            assert Contestant(OURS, bar.precision) in measured
            if bar.against is not None:
                assert Contestant(bar.against, bar.other_precision or bar.precision) in measured


def test_batches_are_shuffled_classes_of_almost_equal_size():
    batch = make_batch(Shape(100, 16, 30), CPU)
    assert set(batch.labels.bincount().tolist()) == {3, 4}
    assert not torch.equal(batch.labels, batch.labels.sort().values)
    torch.testing.assert_close(batch.embeddings.norm(dim=1), torch.ones(100))
    assert fours(64).per_class == 4
