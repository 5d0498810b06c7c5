"""Certified picks are those of float64, however rough the pass over all pairs was."""

import sys
from dataclasses import replace

import mlbench_kernels.mining.certify as certify
import mlbench_kernels.mining.search as search_module
import pytest
import torch
from brute import DISTANCES, data, run_python
from mlbench_kernels import batch_hard, easy_negatives, easy_positives, hard_negatives, hard_positives, semi_hard
from mlbench_kernels.engine import run_rule
from mlbench_kernels.mining.arguments import make_problem
from mlbench_kernels.mining.search import Search

ROUNDED = {"bf16": lambda x: x.bfloat16().float(), "tf32": lambda x: (x.view(torch.int32) & -(1 << 13)).view(x.dtype)}


@pytest.fixture
def rough(monkeypatch):
    """A fast pass that rounds its rows, as a matrix unit would; the rest of the code sees them as they are."""

    def run(rule, problem, backend, precision):
        if backend != "triton":
            return run_rule(rule, problem, backend, precision)
        rows, references = (ROUNDED[precision](part) for part in (problem.anchors, problem.references))
        return run_rule(rule, replace(problem, anchors=rows, references=references), "blocked")

    monkeypatch.setattr(search_module, "run_rule", run)


@pytest.fixture
def scored_again(monkeypatch):
    counts, score_again = [], certify._score_again

    def count(problem, anchor, *rest):
        counts.append(len(anchor))
        return score_again(problem, anchor, *rest)

    monkeypatch.setattr(certify, "_score_again", count)
    return counts


def batch(square):
    """Rows with a common part, so that their distances are close together."""
    x, labels = data(150, 64, 20)
    y, reference_labels = (None, None) if square else data(120, 64, 25, seed=1)
    return 2 + x, labels, None if square else 2 + y, reference_labels


@pytest.mark.parametrize("precision", ROUNDED)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("square", [True, False])
def test_extremes_of_a_rough_pass_become_those_of_float64(square, distance, precision, rough, scored_again):
    arguments = batch(square)
    search = Search(make_problem(*arguments, distance), "triton", precision)
    wrong = 0
    for function, pool, farthest in (
        (hard_positives, "positives", True),
        (easy_positives, "positives", False),
        (hard_negatives, "negatives", False),
        (easy_negatives, "negatives", True),
    ):
        exact = function(*arguments, distance=distance, backend="reference").index
        wrong += int((certify.extreme(search, pool, farthest, certified=False) != exact).sum())
        assert torch.equal(certify.extreme(search, pool, farthest, certified=True), exact)
    assert sum(scored_again) < 4 * 150  # some picks are proven
    assert precision == "tf32" or (wrong and sum(scored_again))  # and others were to be repaired


@pytest.mark.parametrize("precision", ROUNDED)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("square", [True, False])
def test_semi_hard_picks_of_a_rough_pass_become_those_of_float64(square, distance, precision, rough, scored_again):
    arguments = batch(square)
    exact = semi_hard(*arguments, distance=distance, backend="reference")
    number = torch.arange(len(exact.anchor)) - torch.searchsorted(exact.anchor, exact.anchor)
    limits = torch.full((150, int(number.max()) + 1), torch.nan, dtype=torch.float64)
    problem = make_problem(*arguments, distance)
    limits[exact.anchor, number] = problem.pair_distances(exact.anchor, exact.positive, torch.float64)
    search = Search(problem, "triton", precision)
    assert not torch.equal(certify.beyond(search, limits, False)[exact.anchor, number], exact.negative)
    assert torch.equal(certify.beyond(search, limits, True)[exact.anchor, number], exact.negative)
    assert sum(scored_again) > 0
    assert sum(scored_again) < len(exact.anchor) or precision == "bf16"


@pytest.mark.parametrize("distance", DISTANCES[1:])
def test_exact_ties_go_to_the_lowest_index(distance, rough):
    x, labels = data(90, 2, 6, whole=True)
    search = Search(make_problem(x, labels, None, None, distance), "triton", "bf16")
    exact = batch_hard(x, labels, distance=distance, backend="reference")
    assert torch.equal(certify.extreme(search, "positives", True, True), exact.positive_index)
    assert torch.equal(certify.extreme(search, "negatives", False, True), exact.negative_index)


@pytest.mark.parametrize("distance", DISTANCES)
def test_functions_pass_it_on(distance):
    x, labels = data(60, 5, 9)
    x = 1000 + x  # float32 cannot tell near-ties apart here, float64 can
    ours, exact = (batch_hard(x, labels, distance=distance, backend=name, certified=True) for name in BACKENDS)
    assert torch.equal(ours.positive_index, exact.positive_index)
    assert torch.equal(ours.negative_index, exact.negative_index)
    for fallback in ("none", "nearest", "farthest"):
        ours, exact = (
            semi_hard(x, labels, distance=distance, fallback=fallback, backend=name, certified=True)
            for name in BACKENDS
        )
        assert torch.equal(ours.negative, exact.negative)


BACKENDS = ("blocked", "reference")
INTERPRETED = """
import torch
from brute import data
from mlbench_kernels import batch_hard, semi_hard

x, labels = data(70, 5, 20)
for function, names in ((batch_hard, ("positive_index", "negative_index")), (semi_hard, ("negative",))):
    ours = function(x, labels, distance="euclidean", backend="triton", precision="tf32", certified=True)
    exact = function(x, labels, distance="euclidean", backend="reference")
    assert ours.precision == "tf32"
    assert all(torch.equal(getattr(ours, name), getattr(exact, name)) for name in names)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_certified_in_the_interpreter():
    run_python(INTERPRETED, TRITON_INTERPRET="1")
