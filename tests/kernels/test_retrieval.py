"""Exact retrieval metrics: against pytorch-metric-learning, against brute force, and their laws."""

import itertools
import sys

import pytest
import torch
from brute import run_python
from hypothesis import given, settings
from hypothesis import strategies as st
from mlbench_kernels import RetrievalMetrics, retrieval_metrics
from mlbench_kernels.retrieval.counted import counted_ranks

TINY = 1 << 20  # bytes: many tiles and several groups of queries even for small problems


def clusters(classes: int, per_class: int, dimension: int, noise: float, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(per_class)
    labels = labels[torch.randperm(len(labels), generator=generator)]
    centres = torch.randn(classes, dimension, generator=generator)
    embeddings = centres[labels] + noise * torch.randn(len(labels), dimension, generator=generator)
    return torch.nn.functional.normalize(embeddings), labels


def integers(count: int, dimension: int, classes: int, seed: int, largest: int = 2):
    """Small whole numbers: every float32 distance is exact, and many are equal."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randint(-largest, largest + 1, (count, dimension), generator=generator).float()
    return embeddings, torch.randint(0, classes, (count,), generator=generator)


def brute_force_recall(queries, query_labels, references, reference_labels, k, square):
    """Recall@K by float64 squared distances and Python sorting."""
    queries, references = queries.double().tolist(), references.double().tolist()
    labels, hits, counted = reference_labels.tolist(), 0, 0
    for i, (query, label) in enumerate(zip(queries, query_labels.tolist(), strict=True)):
        others = [j for j in range(len(references)) if not (square and j == i)]
        if not any(labels[j] == label for j in others):
            continue
        near = sorted(others, key=lambda j: (sum((a - b) ** 2 for a, b in zip(query, references[j], strict=True)), j))
        counted += 1
        hits += any(labels[j] == label for j in near[:k])
    return hits / counted


def accuracy_calculator(*arguments):
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    return AccuracyCalculator(include=names, k="max_bin_count").get_accuracy(*arguments)


def as_theirs(result: RetrievalMetrics) -> dict[str, float]:
    return {
        "precision_at_1": result.precision_at_1,
        "r_precision": result.r_precision,
        "mean_average_precision_at_r": result.map_at_r,
    }


def with_duplicates():
    embeddings, labels = clusters(20, 6, 16, 0.6)
    embeddings[60:] = embeddings[:60]  # every row twice, mostly with another label
    return embeddings, labels


def with_singletons():
    embeddings, labels = clusters(20, 6, 16, 0.6)
    labels[::5] = torch.arange(100, 100 + len(labels[::5]))
    return embeddings, labels


CASES = {
    "random": lambda: clusters(40, 5, 16, 1.0),
    "untrained": lambda: clusters(40, 5, 16, 1e3),
    "tied": lambda: integers(150, 3, 12, seed=1),
    "duplicated": with_duplicates,
    "singletons": with_singletons,
    "one large class": lambda: (clusters(30, 10, 8, 0.9)[0], torch.randint(0, 300, (300,)).clamp_min(200)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:faiss")
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")
@pytest.mark.parametrize("backend", ["blocked", "reference"])
@pytest.mark.parametrize("case", CASES)
def test_equals_pytorch_metric_learning(case, backend):
    torch.manual_seed(0)
    embeddings, labels = CASES[case]()
    ours = retrieval_metrics(embeddings, labels, distance="squared-euclidean", backend=backend, memory=TINY)
    assert as_theirs(ours) == pytest.approx(accuracy_calculator(embeddings, labels), abs=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:faiss")
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")
@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_query_gallery_equals_pytorch_metric_learning(backend):
    embeddings, labels = clusters(30, 8, 16, 0.8)
    split = embeddings[:90], labels[:90], embeddings[90:], labels[90:]
    ours = retrieval_metrics(*split, distance="squared-euclidean", backend=backend)
    assert as_theirs(ours) == pytest.approx(accuracy_calculator(*split), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("square", [True, False])
def test_recall_equals_brute_force(square, seed):
    embeddings, labels = integers(90, 3, 25, seed)
    half = (embeddings, labels) if square else (embeddings[:40], labels[:40], embeddings[40:], labels[40:])
    result = retrieval_metrics(*half, recall_at=(1, 3, 30, 1000), distance="squared-euclidean")
    queries, query_labels, references, reference_labels = half + half if square else half
    for k, recall in result.recall_at.items():
        expected = brute_force_recall(queries, query_labels, references, reference_labels, k, square)
        assert recall == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("distance", ["cosine", "squared-euclidean"])
@pytest.mark.parametrize("noise", [0.3, 1.0, 1e3])
def test_blocked_ranks_like_float64(noise, distance, dtype):
    embeddings, labels = clusters(25, 16, 12, noise)
    embeddings = (3 + 0.01 * embeddings if dtype.itemsize >= 4 else embeddings).to(dtype)
    options = {"distance": distance, "recall_at": (1, 7, 399)}
    expected = retrieval_metrics(embeddings, labels, backend="reference", per_query=True, **options)
    for memory in (TINY, 128 << 20):
        result = retrieval_metrics(embeddings, labels, memory=memory, per_query=True, **options)
        assert result.recall_at == expected.recall_at
        for name, values in expected.per_query.items():
            torch.testing.assert_close(result.per_query[name], values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 150])
def test_halved_product_ranks_like_float64(classes, monkeypatch):
    """The upper triangle of tiles is used for large sets; here for a small one that has several tiles."""
    import mlbench_kernels.retrieval.blocked as blocked

    monkeypatch.setattr(blocked, "_SMALL", 0)
    embeddings, labels = clusters(classes, 602 // classes, 12, 1.0)
    expected = retrieval_metrics(embeddings, labels, backend="reference", recall_at=(1, 100))
    result = retrieval_metrics(embeddings, labels, memory=TINY, recall_at=(1, 100))
    assert as_theirs(result) == pytest.approx(as_theirs(expected), abs=1e-12)
    assert result.recall_at == expected.recall_at


@pytest.mark.parametrize(
    "collapse",
    [
        lambda x: torch.full_like(x, 0.3),
        lambda x: torch.zeros_like(x),
        lambda x: torch.cat((x[:1].expand(len(x) // 2, -1), x[len(x) // 2 :])),
        lambda x: 1 + 1e-6 * x,
    ],
    ids=["all equal", "all zero", "half equal", "nearly equal"],
)
@pytest.mark.parametrize("distance", ["cosine", "squared-euclidean"])
def test_collapsed_embeddings_rank_like_float64(distance, collapse):
    embeddings, labels = clusters(40, 16, 8, 1.0)
    embeddings = collapse(embeddings)
    expected = retrieval_metrics(embeddings, labels, backend="reference", distance=distance)
    result = retrieval_metrics(embeddings, labels, distance=distance)
    assert as_theirs(result) == pytest.approx(as_theirs(expected), abs=1e-12)
    assert result.recall_at == expected.recall_at


@settings(max_examples=40, deadline=None)
@given(
    st.integers(20, 150),
    st.integers(1, 3),
    st.integers(2, 40),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 1e-12, 1e-9, 1e-7, 1e-5]),
    st.sampled_from(["squared-euclidean", "cosine"]),
    st.booleans(),
    st.booleans(),
)
def test_near_ties_in_small_tiles_rank_like_float64(count, dimension, classes, seed, spread, distance, square, halved):
    """Many points that float32 can hardly or not at all tell apart, in many tiles with few scores in a run."""
    import mlbench_kernels.retrieval.blocked as blocked

    x, labels = integers(count, dimension, classes, seed)
    x = x.double() + spread * torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    labels[1] = labels[0]  # at least one query has a positive, in both forms
    inputs = (x, labels) if square else (x[1:], labels[1:], x[:-1], labels[:-1])
    how = {"recall_at": (1, 3), "distance": distance, "per_query": True}
    expected = retrieval_metrics(*inputs, backend="reference", **how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocked, "_SMALL", 0 if halved else count)
        patch.setattr(blocked, "_TILE", 64 * 64)
        patch.setattr(blocked, "_LEAST_RUN", 2)
        result = retrieval_metrics(*inputs, **how)
    assert result.recall_at == expected.recall_at
    for name, values in expected.per_query.items():
        torch.testing.assert_close(result.per_query[name], values, rtol=0, atol=1e-12, equal_nan=True)


def test_any_number_of_bytes_will_do():
    """A tile's width is a whole number of runs, whatever the memory."""
    embeddings, labels = clusters(230, 10, 4, 0.5)
    split = embeddings[:20], labels[:20], embeddings[20:], labels[20:]
    found = retrieval_metrics(*split, memory=1_100_001)
    assert as_theirs(found) == pytest.approx(as_theirs(retrieval_metrics(*split, backend="reference")), abs=1e-12)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("far", [1e5, 1e8, 1e25, 1e-25])
def test_queries_may_be_of_another_size_than_references(far, counted, monkeypatch):
    """Squared distances from far away differ in their last digits alone."""
    if counted:
        count_in_place_of_blocked(monkeypatch)
    x, labels = clusters(30, 12, 8, 1.0)
    queries = far * x[:60]
    queries[::7] = 0  # beside the far ones what these and the references are made of underflows
    inputs = (queries, labels[:60], x[60:], labels[60:])
    how = {"distance": "squared-euclidean", "per_query": True}
    expected = retrieval_metrics(*inputs, backend="reference", **how)
    found = retrieval_metrics(*inputs, backend="blocked", **how)
    assert found.recall_at == expected.recall_at
    torch.testing.assert_close(found.per_query["map_at_r"], expected.per_query["map_at_r"], rtol=0, atol=1e-12)


def with_zero_rows():
    embeddings, labels = clusters(40, 5, 16, 1.0)
    embeddings[::9] = 0
    return embeddings, labels


def check_counted(cases, count, **options):
    """`options` choose the backend whose ranks are held against those of float64."""
    for case, distance, square in itertools.product(cases, ("cosine", "squared-euclidean"), (True, False)):
        x, labels = (part[:count] for part in case())
        half = count // 3
        inputs = (x, labels) if square else (x[:half], labels[:half], x[half:], labels[half:])
        for all_ranks in (False, True):
            how = {"distance": distance, "all_ranks": all_ranks, "per_query": True}
            found = retrieval_metrics(*inputs, **how, **options)
            expected = retrieval_metrics(*inputs, **how, backend="reference")
            assert found.recall_at == expected.recall_at
            for name, values in expected.per_query.items():
                torch.testing.assert_close(found.per_query[name], values, rtol=0, atol=1e-12, equal_nan=True)


def count_in_place_of_blocked(monkeypatch):
    """The counting of "triton", with the engine's plain backend in its place."""
    import mlbench_kernels.retrieval.metrics as metrics

    def ranks(*arguments):
        return counted_ranks(*arguments[:-1], "blocked", "ieee")

    monkeypatch.setattr(metrics, "blocked_ranks", ranks)


def test_counted_ranks_are_those_of_float64(monkeypatch):
    count_in_place_of_blocked(monkeypatch)
    check_counted([*CASES.values(), with_zero_rows], 130, backend="blocked")


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_counted_ranks_in_the_interpreter():
    code = "import test_retrieval as t; t.check_counted([t.with_zero_rows], 45, backend='triton')"
    run_python(code, TRITON_INTERPRET="1")


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_map_and_mrr_by_sorting(case, square):
    embeddings, labels = CASES[case]()
    inputs = (embeddings, labels) if square else (embeddings[:60], labels[:60], embeddings[60:], labels[60:])
    result = retrieval_metrics(*inputs, distance="squared-euclidean", all_ranks=True)
    queries, query_labels, references, reference_labels = inputs + inputs if square else inputs
    precisions, reciprocals = [], []
    for i, query in enumerate(queries.double()):
        distance = (references.double() - query).square().sum(dim=1).tolist()
        near = sorted((j for j in range(len(references)) if not (square and i == j)), key=lambda j: (distance[j], j))
        ranks = [rank for rank, j in enumerate(near, 1) if reference_labels[j] == query_labels[i]]
        if ranks:
            precisions.append(sum(k / rank for k, rank in enumerate(ranks, 1)) / len(ranks))
            reciprocals.append(1 / ranks[0])
    assert result.mean_average_precision == pytest.approx(sum(precisions) / len(precisions), abs=1e-12)
    assert result.mean_reciprocal_rank == pytest.approx(sum(reciprocals) / len(reciprocals), abs=1e-12)
    assert retrieval_metrics(*inputs).mean_average_precision is None


def test_map_at_r_by_hand():
    """Query 0 has R = 3 and finds positive, negative, positive: (1/1 + 2/3) / 3."""
    references = torch.tensor([[1.0], [2.0], [3.0], [9.0]])
    result = retrieval_metrics(
        torch.zeros(1, 1), torch.tensor([5]), references, torch.tensor([5, 4, 5, 5]), distance="squared-euclidean"
    )
    assert result.map_at_r == pytest.approx((1 + 2 / 3) / 3)
    assert result.r_precision == pytest.approx(2 / 3)
    assert result.precision_at_1 == 1


@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_ties_go_to_the_lowest_reference_index(backend):
    point = torch.ones(1, 2)
    for labels, recall in (([7, 3], 1.0), ([3, 7], 0.0)):
        result = retrieval_metrics(
            point, torch.tensor([7]), point.expand(2, 2), torch.tensor(labels), recall_at=[1], backend=backend
        )
        assert result.recall_at == {1: recall}


@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_self_is_left_out_by_index_and_equal_rows_are_found(backend):
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    result = retrieval_metrics(embeddings, torch.tensor([0, 1, 0, 1]), recall_at=[1, 2], backend=backend)
    assert result.recall_at == {1: 0.0, 2: 0.5}


def test_lone_queries_are_counted_and_left_out():
    embeddings, labels = clusters(10, 4, 8, 0.5)
    without = retrieval_metrics(embeddings, labels, embeddings[labels != 3], labels[labels != 3], per_query=True)
    assert (without.queries, without.lone_queries) == (36, 4)
    assert torch.isnan(without.per_query["map_at_r"]).equal(labels == 3)
    assert float(without.per_query["r_precision"].nanmean()) == pytest.approx(without.r_precision)


def test_inputs_may_be_strided_and_labels_of_any_integer_type():
    embeddings, labels = clusters(10, 4, 8, 0.5)
    strided = torch.stack((embeddings, -embeddings), dim=2)[..., 0]
    assert retrieval_metrics(strided, labels.to(torch.int16)) == retrieval_metrics(embeddings, labels)


def test_reduced_precision_of_the_program_does_not_change_the_result():
    embeddings, labels = clusters(40, 5, 64, 2.0)
    expected = retrieval_metrics(embeddings, labels)
    torch.set_float32_matmul_precision("medium")
    try:
        assert retrieval_metrics(embeddings, labels) == expected
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize(("classes", "per_class"), [(75, 20), (2, 100)])
def test_memory_is_bounded(classes, per_class, square):
    """No tensor comes near the size of the distance matrix, 8.6 MiB, or of the pairs of two classes that collapsed."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else (result,):
                if isinstance(tensor, torch.Tensor):
                    largest = max(largest, tensor.untyped_storage().nbytes())
            return result

    embeddings, labels = clusters(classes, per_class, 8, 1e3)
    embeddings[:: 7 if classes > 2 else 1] = embeddings[0]
    arguments = (embeddings, labels) if square else (embeddings, labels, embeddings.clone(), labels)
    with Watch():
        retrieval_metrics(*arguments, memory=TINY, recall_at=(1, 50))
    assert largest <= TINY


small_problems = st.builds(
    integers, st.integers(2, 40), st.integers(1, 3), st.integers(1, 6), st.integers(0, 10_000), st.integers(1, 3)
)


def has_positive(labels) -> bool:
    return len(labels.unique()) < len(labels)


@settings(max_examples=30, deadline=None)
@given(small_problems)
def test_bounds_and_monotone_recall(problem):
    embeddings, labels = problem
    if not has_positive(labels):
        return
    result = retrieval_metrics(embeddings, labels, recall_at=range(1, len(labels)))
    recalls = list(result.recall_at.values())
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0
    assert result.recall_at[1] == result.precision_at_1
    assert 0 <= result.map_at_r <= result.r_precision <= 1
    assert result.queries + result.lone_queries == len(labels)


@settings(max_examples=30, deadline=None)
@given(small_problems)
def test_names_of_labels_do_not_matter(problem):
    embeddings, labels = problem
    if has_positive(labels):
        assert retrieval_metrics(embeddings, 1000 - 7 * labels) == retrieval_metrics(embeddings, labels)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 60), st.integers(1, 8), st.integers(0, 10_000))
def test_order_of_rows_does_not_matter_without_ties(count, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(count, 5, generator=generator)
    labels = torch.arange(count) % classes
    if not has_positive(labels):
        return
    order = torch.randperm(count, generator=generator)
    a, b = retrieval_metrics(embeddings, labels), retrieval_metrics(embeddings[order], labels[order])
    assert as_theirs(a) == pytest.approx(as_theirs(b), abs=1e-12)
    assert a.recall_at == pytest.approx(b.recall_at, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(small_problems)
def test_square_form_is_one_query_against_all_others(problem):
    embeddings, labels = problem
    if not has_positive(labels):
        return
    whole = retrieval_metrics(embeddings, labels, per_query=True).per_query["map_at_r"]
    for i in range(min(5, len(labels))):
        others = torch.arange(len(labels)) != i
        if (labels[others] == labels[i]).any():
            one = retrieval_metrics(embeddings[i : i + 1], labels[i : i + 1], embeddings[others], labels[others])
            assert one.map_at_r == pytest.approx(float(whole[i]), abs=1e-12)
        else:
            assert torch.isnan(whole[i])


X, Y = torch.arange(12.0).view(4, 3), torch.tensor([0, 0, 1, 1])
BAD = {
    "length": ((X, Y[:3]), {}, r"query_labels: 3 labels for 4 rows of queries"),
    "nan": ((X.masked_fill(X == 7, torch.nan), Y), {}, r"queries: row 2 contains NaN"),
    "inf": ((X.masked_fill(X == 3, torch.inf), Y), {}, r"queries: row 1 contains an infinite value"),
    "integers": ((X.long(), Y), {}, r"queries: expected a floating-point dtype, got torch.int64"),
    "1-D": ((X[0], Y), {}, r"queries: expected shape \[N, D\], got \[3\]"),
    "N=0": ((X[:0], Y[:0]), {}, r"queries: expected N >= 1 and D >= 1, got shape \[0, 3\]"),
    "D=0": ((X[:, :0], Y), {}, r"queries: expected N >= 1 and D >= 1, got shape \[4, 0\]"),
    "no tensor": ((X.tolist(), Y), {}, r"queries: expected a torch tensor \[N, D\], got list"),
    "label list": ((X, Y.tolist()), {}, r"query_labels: expected a torch tensor \[N\], got list"),
    "float labels": ((X, Y.float()), {}, r"query_labels: expected an integer dtype, got torch.float32"),
    "2-D labels": ((X, Y[:, None]), {}, r"query_labels: expected shape \[N\], got \[4, 1\]"),
    "label device": ((X, Y.to("meta")), {}, r"query_labels: on meta, but queries are on cpu"),
    "D differs": ((X, Y, X[:, :2], Y), {}, r"references: dimension 2, but queries have dimension 3"),
    "no reference labels": ((X, Y, X), {}, r"reference_labels: None, but references came; give both or neither"),
    "no references": ((X, Y, None, Y), {}, r"references: None, but reference_labels came; give both or neither"),
    "reference length": ((X, Y, X, Y[:2]), {}, r"reference_labels: 2 labels for 4 rows of references"),
    "reference nan": ((X, Y, X * torch.nan, Y), {}, r"references: row 0 contains NaN"),
    "backend": (
        (X, Y),
        {"backend": "faiss"},
        r"backend: 'faiss' is unknown; allowed are auto, blocked, reference, triton",
    ),
    "distance": ((X, Y), {"distance": "dot"}, r"distance: 'dot' is unknown; allowed are cosine, squared-euclidean"),
    "K=0": ((X, Y), {"recall_at": (1, 0)}, r"recall_at: 0; expected a whole number, at least 1"),
    "K=1.5": ((X, Y), {"recall_at": (1.5,)}, r"recall_at: 1.5; expected a whole number, at least 1"),
    "no K": ((X, Y), {"recall_at": ()}, r"recall_at: empty; give at least one K"),
    "memory": ((X, Y), {"memory": 1000}, r"memory: 1000; expected a whole number, at least 1048576"),
    "all lone": ((X, torch.arange(4)), {}, r"query_labels: none of the 4 queries has a positive"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    arguments, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        retrieval_metrics(*arguments, **options)
