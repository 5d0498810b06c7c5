"""Batch-hard mining: every backend against brute force, and the drop-in miner against pytorch-metric-learning."""

import os
import subprocess
import sys

import pytest
import torch
from brute import DISTANCES, pairwise
from brute import data as problem
from hypothesis import given, settings
from hypothesis import strategies as st
from mlbench_kernels import batch_hard
from mlbench_kernels.miners import BatchHardMiner


def check(found, anchors, labels, references, reference_labels, distance, square, slack):
    """Every pick exists when it should, keeps the rule within `slack`, and has its exact distance."""
    exact = pairwise(anchors, references, distance)
    for i in range(len(anchors)):
        positives = [j for j in range(len(references)) if reference_labels[j] == labels[i] and not (square and i == j)]
        negatives = [j for j in range(len(references)) if reference_labels[j] != labels[i]]
        for pool, best, index, value in (
            (positives, max, found.positive_index[i], found.positive_distance[i]),
            (negatives, min, found.negative_index[i], found.negative_distance[i]),
        ):
            if not pool:
                assert index == -1
                assert torch.isnan(value)
                continue
            assert int(index) in pool
            limit = best(float(exact[i, j]) for j in pool)
            assert float(exact[i, index]) == pytest.approx(limit, abs=slack)
            assert float(value) == pytest.approx(float(exact[i, index]), rel=1e-6, abs=1e-7)
            if slack == 0:
                assert int(index) == next(j for j in pool if float(exact[i, j]) == limit)


@pytest.mark.parametrize("backend", ["blocked", "reference"])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("shape", [(1, 3, 1), (70, 5, 1), (33, 8, 50), (130, 7, 9)], ids=str)
def test_square(shape, distance, backend):
    embeddings, labels = problem(*shape)
    found = batch_hard(embeddings, labels, distance=distance, backend=backend)
    assert found.backend == backend
    check(found, embeddings, labels, embeddings, labels, distance, True, 1e-5)


@pytest.mark.parametrize("backend", ["blocked", "reference"])
@pytest.mark.parametrize("distance", DISTANCES)
def test_rectangular(distance, backend):
    anchors, labels = problem(70, 6, 9)
    references, reference_labels = problem(40, 6, 12, seed=1)
    found = batch_hard(anchors, labels, references, reference_labels, distance=distance, backend=backend)
    check(found, anchors, labels, references, reference_labels, distance, False, 1e-5)


@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_ties_go_to_the_lowest_index(backend):
    embeddings, labels = problem(130, 2, 4, whole=True)
    found = batch_hard(embeddings, labels, distance="squared-euclidean", backend=backend)
    check(found, embeddings, labels, embeddings, labels, "squared-euclidean", True, 0)


def test_picks_do_not_depend_on_the_tiling(monkeypatch):
    import mlbench_kernels.engine.blocked as blocked

    embeddings, labels = problem(130, 3, 6, whole=True)
    whole = batch_hard(embeddings, labels, distance="euclidean", backend="blocked")
    for name, size in {"_ROWS": 17, "_COLUMNS": 23, "_BLOCK": 7, "_BLOCKS": 3, "_WINDOW": 11}.items():
        monkeypatch.setattr(blocked, name, size)
    tiled = batch_hard(embeddings, labels, distance="euclidean", backend="blocked")
    assert torch.equal(tiled.positive_index, whole.positive_index)
    assert torch.equal(tiled.negative_index, whole.negative_index)


def test_equal_rows_are_legitimate_pairs_but_self_is_not():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    found = batch_hard(embeddings, torch.tensor([0, 0, 1]), backend="blocked")
    assert found.positive_index.tolist() == [1, 0, -1]
    assert found.negative_index.tolist() == [2, 2, 0]
    assert found.negative_distance.tolist() == pytest.approx([0, 0, 0], abs=1e-7)


def test_a_large_common_offset_does_not_blur_the_picks():
    embeddings, labels = problem(60, 8, 6)
    found = batch_hard(1000 + embeddings, labels, distance="euclidean", backend="blocked")
    check(found, 1000 + embeddings, labels, 1000 + embeddings, labels, "euclidean", True, 1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floating_point_types(dtype):
    embeddings, labels = problem(50, 8, 6)
    embeddings = embeddings.to(dtype)
    found = batch_hard(embeddings, labels.int(), distance="euclidean")
    assert found.positive_distance.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    check(found, embeddings, labels, embeddings, labels, "euclidean", True, 1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_rows_whose_squares_overflow_are_refused_and_float64_takes_them(distance):
    embeddings, labels = problem(20, 4, 5)
    large = 1e19 * embeddings
    with pytest.raises(ValueError, match=r"embeddings: their squared norms overflow torch.float32; scale"):
        batch_hard(large, labels, distance=distance, backend="blocked")
    found = batch_hard(large.double(), labels, distance=distance, backend="blocked")
    assert torch.equal(found.negative_index, batch_hard(embeddings, labels, distance=distance).negative_index)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50), st.integers(1, 4), st.integers(1, 8), st.integers(0, 9999), st.sampled_from(DISTANCES[1:]))
def test_blocked_equals_reference_on_exact_data(count, dimension, classes, seed, distance):
    embeddings, labels = problem(count, dimension, classes, seed, whole=True)
    a, b = (batch_hard(embeddings, labels, distance=distance, backend=name) for name in ("blocked", "reference"))
    assert torch.equal(a.positive_index, b.positive_index)
    assert torch.equal(a.negative_index, b.negative_index)


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_miner_returns_the_triplets_of_pytorch_metric_learning(seed, references):
    from pytorch_metric_learning.miners import BatchHardMiner as Theirs

    arguments = problem(96, 16, 24, seed)
    if references:
        arguments += problem(50, 16, 30, seed + 100)
    ours, theirs = BatchHardMiner()(*arguments), Theirs()(*arguments)
    assert [t.tolist() for t in ours] == [t.tolist() for t in theirs]


TRITON = """
import torch
from mlbench_kernels import batch_hard

generator = torch.Generator().manual_seed(0)
for n, m, d, classes in [(1, 1, 3, 1), (100, 70, 33, 9), (64, 130, 8, 200)]:
    x = torch.randn(n, d, generator=generator).mul(2).round()
    r = torch.randn(m, d, generator=generator).mul(2).round()
    y, z = (torch.randint(0, classes, (k,), generator=generator) for k in (n, m))
    for arguments in ((x, y), (x, y, r, z)):
        for distance in ("euclidean", "squared-euclidean"):
            ours = batch_hard(*arguments, distance=distance, backend="triton")
            oracle = batch_hard(*arguments, distance=distance, backend="reference")
            assert ours.backend == "triton"
            assert torch.equal(ours.positive_index, oracle.positive_index)
            assert torch.equal(ours.negative_index, oracle.negative_index)
grouped = torch.randn(150, 7, generator=generator).mul(2).round(), 900 - torch.arange(150) // 4  # m per class
for arguments in (grouped, (*grouped, grouped[0][5:140].flip(0), torch.arange(135) // 3 + 870)):
    ours, oracle = (batch_hard(*arguments, distance="euclidean", backend=name) for name in ("triton", "reference"))
    assert torch.equal(ours.positive_index, oracle.positive_index)
    assert torch.equal(ours.negative_index, oracle.negative_index)
x, y = torch.randn(60, 20, generator=generator), torch.arange(60) % 7
ours, oracle = (batch_hard(x, y, distance="cosine", backend=name) for name in ("triton", "reference"))
torch.testing.assert_close(ours.positive_distance, oracle.positive_distance)
torch.testing.assert_close(ours.negative_distance, oracle.negative_distance)
"""

NO_TRITON = """
import sys
import torch
import mlbench_kernels.miners
from mlbench_kernels import batch_hard, retrieval_metrics

x, y = torch.randn(8, 3), torch.arange(8) % 3
batch_hard(x, y), retrieval_metrics(x, y), mlbench_kernels.miners.BatchHardMiner()(x, y)
assert "triton" not in sys.modules, "triton was imported without being asked for"
"""


def run_python(code: str, **environment: str) -> None:
    """In a process of its own: whether Triton interprets is decided when it is imported."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_triton_picks_like_the_reference_in_the_interpreter():
    run_python(TRITON, TRITON_INTERPRET="1")


def test_triton_is_not_imported_before_it_is_asked_for():
    run_python(NO_TRITON, TRITON_INTERPRET="0")


def test_triton_by_name_never_falls_back(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    embeddings, labels = problem(8, 3, 2)
    with pytest.raises(RuntimeError, match=r"backend: 'triton' cannot run here: .*; use 'auto' or 'blocked'"):
        batch_hard(embeddings, labels, backend="triton")


X, Y = torch.arange(12.0).view(4, 3), torch.tensor([0, 0, 1, 1])
BAD = {
    "length": ((X, Y[:3]), {}, r"labels: 3 labels for 4 rows of anchors"),
    "nan": ((X.masked_fill(X == 7, torch.nan), Y), {}, r"anchors: row 2 contains NaN"),
    "integers": ((X.long(), Y), {}, r"anchors: expected a floating-point dtype"),
    "D=0": ((X[:, :0], Y), {}, r"anchors: expected N >= 1 and D >= 1"),
    "D differs": ((X, Y, X[:, :2], Y), {}, r"references: dimension 2, but anchors have dimension 3"),
    "device": ((X, Y.to("meta")), {}, r"labels: on meta, but anchors are on cpu"),
    "distance": ((X, Y), {"distance": "l1"}, r"distance: 'l1' is unknown; allowed are cosine, euclidean, squared-euc"),
    "backend": ((X, Y), {"backend": "cuda"}, r"backend: 'cuda' is unknown; allowed are auto, blocked, reference, tr"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    arguments, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        batch_hard(*arguments, **options)


def test_miner_names_an_unknown_distance_at_once():
    with pytest.raises(ValueError, match="distance: 'l1' is unknown"):
        BatchHardMiner(distance="l1")
