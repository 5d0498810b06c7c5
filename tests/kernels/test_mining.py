"""The mining functions as users call them: FaceNet's rule, top k, multi-similarity, as operators and under compile."""

import pytest
import torch
from brute import DISTANCES, data, pairwise, pool_mask, ranked
from mlbench_kernels import (
    batch_hard,
    easy_negatives,
    easy_positives,
    hard_negatives,
    hard_positives,
    multi_similarity,
    nearest_neighbours,
    semi_hard,
    top_k_negatives,
    top_k_positives,
)
from mlbench_kernels.mining.batch_hard import batch_hard_op
from mlbench_kernels.mining.extremes import extreme_op
from mlbench_kernels.mining.multi_similarity import multi_similarity_op
from mlbench_kernels.mining.semi_hard import semi_hard_op
from mlbench_kernels.mining.top_k import top_k_op

BACKENDS = ["blocked", "reference"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fallback", ["none", "nearest", "farthest"])
@pytest.mark.parametrize("margin", [1.5, float("inf")])
@pytest.mark.parametrize("square", [True, False])
def test_semi_hard_is_the_nearest_negative_farther_than_the_positive(backend, fallback, margin, square):
    x, labels = data(50, 4, 6, whole=True)
    rectangle = () if square else data(40, 4, 8, seed=1, whole=True)
    y, reference_labels = rectangle or (x, labels)
    mined = semi_hard(x, labels, *rectangle, margin=margin, fallback=fallback, distance="euclidean", backend=backend)
    exact = pairwise(x, y, "euclidean")
    positives = pool_mask(labels, reference_labels, square, "positives")
    assert torch.stack((mined.anchor, mined.positive), dim=1).tolist() == sorted(positives.nonzero().tolist())
    negatives = pool_mask(labels, reference_labels, square, "negatives")[mined.anchor]
    near, far = exact[mined.anchor, mined.positive][:, None], exact[mined.anchor]
    expected = ranked(far, negatives & (far > near) & (far <= near + margin), 1)[:, 0]
    if fallback != "none":
        expected = torch.where(expected < 0, ranked(far, negatives, 1, fallback == "farthest")[:, 0], expected)
    assert torch.equal(mined.negative, expected)
    torch.testing.assert_close(mined.positive_distance, near[:, 0].float())
    given = expected >= 0
    torch.testing.assert_close(mined.negative_distance[given], far[given, expected[given]].float())
    assert mined.negative_distance[~given].isnan().all()


def test_semi_hard_without_any_positive_is_empty():
    x, _ = data(5, 3, 1)
    assert len(semi_hard(x, torch.arange(5), fallback="nearest").anchor) == 0


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("classes", [9, 40])  # of about ten, and of up to six: lists of positives instead of windows
def test_extremes_and_top_k_have_the_best_distances(backend, distance, classes):
    x, labels = data(90, 6, classes)
    exact = pairwise(x, x, distance)
    options = {"distance": distance, "backend": backend}
    for pool, farthest, one, many in (
        ("positives", True, hard_positives, top_k_positives),
        ("positives", False, easy_positives, None),
        ("negatives", False, hard_negatives, top_k_negatives),
        ("negatives", True, easy_negatives, None),
    ):
        best = ranked(exact, pool_mask(labels, labels, True, pool), 5, farthest)
        value = exact.gather(1, best.clamp_min(0)).masked_fill(best < 0, torch.nan).float()
        found = one(x, labels, **options)
        torch.testing.assert_close(found.distance, value[:, 0], equal_nan=True, atol=1e-6, rtol=1e-5)
        if many is not None:
            found = many(x, labels, k=5, **options)
            assert torch.equal(found.index < 0, best < 0)
            torch.testing.assert_close(found.distance, value, equal_nan=True, atol=1e-6, rtol=1e-5)


def test_a_class_larger_than_a_tile_and_non_contiguous_rows():
    x, labels = data(700, 6, 2)
    x = x.T.contiguous().T
    ours, oracle = (batch_hard(x, labels, distance="euclidean", backend=name) for name in BACKENDS)
    torch.testing.assert_close(ours.positive_distance, oracle.positive_distance)
    torch.testing.assert_close(ours.negative_distance, oracle.negative_distance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("square", [True, False])
def test_multi_similarity_lists_every_pair_that_is_hard(backend, square):
    # Three row tiles, the last of an odd size; distances of whole numbers are exact, and many are equal.
    x, labels = data(1061, 12, 300, whole=True)
    rectangle = () if square else data(163, 12, 300, seed=1, whole=True)
    y, reference_labels = rectangle or (x, labels)
    mined = multi_similarity(x, labels, *rectangle, epsilon=2.5, distance="squared-euclidean", backend=backend)
    exact = pairwise(x, y, "squared-euclidean")
    positive, negative = (pool_mask(labels, reference_labels, square, pool) for pool in ("positives", "negatives"))
    far = exact.masked_fill(~positive, -torch.inf).amax(dim=1, keepdim=True)
    near = exact.masked_fill(~negative, torch.inf).amin(dim=1, keepdim=True)
    expected = (positive & (exact > near - 2.5)).nonzero(), (negative & (exact < far + 2.5)).nonzero()
    assert torch.equal(torch.stack((mined.positive_anchor, mined.positive), dim=1), expected[0])
    assert torch.equal(torch.stack((mined.negative_anchor, mined.negative), dim=1), expected[1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_beyond_the_reach_of_32_bits(backend):
    rows, labels = data(12, 5, 4)
    apart = 1 << 28
    # 6 GiB of addresses, of which the rows are all that is ever touched.
    spread = torch.empty(11 * apart + 5, dtype=torch.float16).as_strided((12, 5), (apart, 1))
    spread.copy_(rows)
    assert spread[-1].storage_offset() > 2**31
    ours, expected = (batch_hard(x, labels, backend=backend) for x in (spread, rows.half()))
    assert torch.equal(ours.positive_index, expected.positive_index)
    assert torch.equal(ours.negative_distance, expected.negative_distance)


def test_all_equal_embeddings_go_to_the_lowest_index():
    labels = torch.tensor([0, 0, 1, 1]).repeat(40)
    found = batch_hard(torch.ones(160, 3), labels, distance="euclidean")
    assert found.positive_index.tolist() == [
        1 if i == 0 else 3 if i == 2 else 0 if i % 4 < 2 else 2 for i in range(160)
    ]
    assert found.negative_index.tolist() == [2 if i % 4 < 2 else 0 for i in range(160)]


OPERATORS = {
    "batch_hard": (batch_hard_op, ()),
    "extreme": (extreme_op, ("positives", True)),
    "extreme, certified": (extreme_op, ("negatives", False, True)),
    "top_k": (top_k_op, ("negatives", 3, False)),
    "semi_hard": (semi_hard_op, (0.2, "nearest")),
    "multi_similarity": (multi_similarity_op, (0.1,)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_registered_as_torch_expects(name):
    operator, extra = OPERATORS[name]
    x, labels = data(20, 5, 4)
    torch.library.opcheck(operator, (x, labels, None, None, "cosine", "blocked", "ieee", *extra))
    torch.library.opcheck(operator, (x, labels, *data(9, 5, 4, seed=1), "euclidean", "blocked", "ieee", *extra))


def test_mining_compiles_into_one_graph():
    def mined(x, labels):
        return (
            batch_hard(x, labels).negative_index,
            semi_hard(x, labels).negative,
            top_k_negatives(x, labels, k=2).index,
        )

    x, labels = data(20, 5, 4)
    compiled = torch.compile(mined, fullgraph=True, backend="eager")
    assert all(torch.equal(a, b) for a, b in zip(compiled(x, labels), mined(x, labels), strict=True))


X, Y = torch.arange(12.0).view(4, 3), torch.tensor([0, 0, 1, 1])
BAD = {
    "k": (top_k_negatives, {"k": 0}, "k: 0; expected a whole number, at least 1"),
    "margin": (semi_hard, {"margin": 0.0}, "margin: 0.0; expected a positive number"),
    "fallback": (semi_hard, {"fallback": "any"}, "fallback: 'any' is unknown; allowed are farthest, nearest, none"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_are_named(case):
    function, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        function(X, Y, **options)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_nearest_neighbours_are_those_of_brute_force(backend, distance):
    x, y = data(60, 5, 3)[0], data(40, 5, 3, seed=1)[0]
    for references in (None, y):
        square = references is None
        exact = pairwise(x, x if square else y, distance)
        mask = pool_mask(torch.zeros(60), torch.zeros(exact.shape[1]), square, "others")
        found = nearest_neighbours(x, references, k=7, distance=distance, backend=backend)
        assert torch.equal(found.index, ranked(exact, mask, 7))
        torch.testing.assert_close(found.distance.double(), exact.gather(1, found.index), atol=1e-6, rtol=1e-5)
    with pytest.raises(ValueError, match="k: 0; expected a whole number, at least 1"):
        nearest_neighbours(x, k=0)
