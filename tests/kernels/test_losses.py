"""Pair losses and loss modules: values and gradients against dense float64 autograd, edge cases, operators, dtypes."""

import sys

import pytest
import torch
from brute import DISTANCES, data, run_python
from loss_checks import LOSSES, SUMMED, check, check_losses
from mlbench_kernels import losses
from mlbench_kernels.losses import pair_loss
from mlbench_kernels.losses.listed import pair_distances_op, positive_pairs_op, positive_slots_op
from mlbench_kernels.losses.statistics import pair_statistics_op
from mlbench_kernels.losses.totals import pair_total_op
from mlbench_kernels.rules import Hinge, LogSumExp, Triplets
from mlbench_kernels.rules.intervals import places

NAMES = ["MinedTripletLoss", *sorted(cls.__name__ for cls in losses.MetricLoss.__subclasses__())]
MODULES = [(name, {}) for name in NAMES] + [("TripletMarginLoss", {"kind": "semi-hard", "margin": 0.3})]


def test_reference_is_autograd_over_a_dense_matrix():
    check_losses("reference", (41, 5, 6), 1e-9, torch.float64)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)], ids=str)
def test_blocked_equals_autograd_over_a_dense_matrix(dtype, tolerance):
    check_losses("blocked", (70, 5, 6), tolerance, dtype)


@pytest.mark.parametrize("shape", [(1, 3, 1), (9, 1, 1), (20, 130, 40)], ids=["N=1", "one class", "singletons"])
def test_small_problems(shape):
    check_losses("blocked", shape, 1e-9, torch.float64, forms=(True,))


def test_gradients_do_not_depend_on_the_tiling(monkeypatch):
    import mlbench_kernels.engine.blocked as blocked

    for name, value in {"_ROWS": 7, "_COLUMNS": 19, "_PART": 40, "_BLOCK": 3, "_BLOCKS": 2, "_WINDOW": 64}.items():
        monkeypatch.setattr(blocked, name, value)
    x, labels = data(50, 5, 6)
    for name, pool in (("hinge", "positives"), ("near", "others"), ("softplus", "positives"), ("all", "negatives")):
        for references in ([], data(23, 5, 6, seed=1)):
            problem = [x.double(), labels, *(part.double() if part.ndim == 2 else part for part in references)]
            check(name, pool, "euclidean", problem, "blocked", 1e-9)
            if name in SUMMED:
                check(name, pool, "euclidean", problem, "blocked", 1e-9, summed=True)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_places_on_a_grid_are_those_of_a_search(dtype, scale):
    generator = torch.Generator().manual_seed(1)
    limits = torch.rand(6, 40, dtype=dtype, generator=generator) * scale
    limits[1, :9] = -torch.inf
    limits[2] = -torch.inf
    limits[3] = 0.3 * scale
    limits[4, 5:] = limits[4, 5:6]
    limits = limits.sort(dim=1).values
    some = limits.where(limits > -torch.inf, 0)
    near = [some, some.nextafter(some + scale), some.nextafter(some - scale), torch.full((6, 1), torch.inf)]
    values = torch.cat((1.5 * scale * torch.rand(6, 500, dtype=dtype, generator=generator), *near), dim=1)
    assert torch.equal(places(limits, values), torch.searchsorted(limits, values, right=True))


def test_triplets_of_many_positives_are_placed_on_a_grid(monkeypatch):
    import mlbench_kernels.rules.intervals as intervals

    monkeypatch.setattr(intervals, "_FEW", 0)
    x, labels = data(60, 5, 4)
    for name in ("all", "semi-hard"):
        for summed in (False, True):
            check(name, "negatives", "euclidean", [x.double(), labels], "blocked", 1e-9, summed)


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
@pytest.mark.parametrize("square", [True, False])
def test_losses_in_the_interpreter(square):
    code = f"from loss_checks import check_losses; check_losses('triton', (41, 5, 6), 2e-5, forms=({square},))"
    run_python(code, TRITON_INTERPRET="1")


def value_and_gradient(loss, x, labels):
    x = x.detach().clone().requires_grad_()
    value = loss(x, labels)
    return value, *torch.autograd.grad(value, x)


EDGES = {
    "duplicates": lambda x: torch.cat((x[:20], x[:20])),
    "all equal": lambda x: x[:1].expand(40, -1) * 1.0,
    "zero rows": lambda x: x * (torch.arange(40) % 5 > 0)[:, None],
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("name", "options"), MODULES, ids=str)
def test_equal_and_zero_rows(name, options, edge):
    x, labels = data(40, 6, 7)
    x = EDGES[edge](x)
    if name == "ContrastiveLoss":
        options = {"pos_margin": 0.05, "neg_margin": 0.95}  # no pair is just at a margin
    for distance in DISTANCES:
        found, expected = (
            value_and_gradient(getattr(losses, name)(**options, distance=distance, backend=backend), rows, labels)
            for backend, rows in (("blocked", x), ("reference", x.double()))
        )
        # Which of two equally far negatives is the harder one is the miner's choice, and equal distances may differ in
        # their last bit; values and gradients of everything else are those of exact arithmetic.
        if "semi" not in str(options) + name and name != "MinedTripletLoss":
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=2e-5)
        assert all(part.isfinite().all() for part in found)


@pytest.mark.parametrize("pool", ["positives", "negatives"])
def test_a_large_offset_costs_no_digits(pool):
    x, labels = data(60, 8, 6, whole=True)
    rule = Hinge(pool, 3.0)
    results = []
    for rows in (x, x + 1000):
        rows = rows.clone().requires_grad_()
        value, count = pair_loss(rule, rows, labels, distance="euclidean")
        results.append((value, count, *torch.autograd.grad(value.sum(), rows)))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    "labels", [torch.zeros(6, dtype=torch.int64), torch.arange(6)], ids=["one class", "singletons"]
)
@pytest.mark.parametrize(("name", "options"), MODULES, ids=str)
def test_without_valid_triplets_or_pairs_the_loss_is_zero_and_counted(name, options, labels):
    loss = getattr(losses, name)(**options)
    value, gradient = value_and_gradient(loss, data(6, 4, 2)[0], labels)
    if name in ("ContrastiveLoss", "MultiSimilarityLoss", "GeneralizedLiftedStructureLoss"):
        assert value > 0  # each of their two pools counts alone
        assert loss.terms > 0
    else:
        assert value == 0
        assert not gradient.any()
        assert loss.terms == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_list_of_a_miner_gives_zero(name):
    none = torch.empty(0, dtype=torch.int64)
    x = data(6, 4, 2)[0].requires_grad_()
    loss = getattr(losses, name)()
    value = loss(x, None, (none, none, none))
    assert value == 0
    assert loss.terms == 0
    assert not torch.autograd.grad(value, x)[0].any()


@pytest.mark.parametrize("rule", LOSSES)
@pytest.mark.parametrize("references", [False, True])
def test_gradcheck(rule, references):
    make, pools, width, _ = LOSSES[rule]
    x, labels = data(9, 3, 3)
    sides = [x.double().requires_grad_()] + [data(7, 3, 4, seed=1)[0].double().requires_grad_()] * references
    rest = [data(7, 3, 4, seed=1)[1]] * references
    limits = [torch.rand(9, width).double().sort(dim=1).values.requires_grad_()] * bool(width)

    def call(*leaves):
        rows, t = leaves[: len(sides)], leaves[len(sides) :]
        value, *_ = pair_loss(make(pools[0], *(t or [None])), rows[0], labels, *rows[1:], *rest, distance="euclidean")
        value = value.sum(dim=1) if value.ndim == 2 else value
        return value.where(value.isfinite(), 0)

    assert torch.autograd.gradcheck(call, [*sides, *limits])


@pytest.mark.parametrize(("name", "options"), MODULES, ids=str)
def test_the_same_call_gives_the_same_bits(name, options):
    x, labels = data(500, 7, 90)
    first, second = (value_and_gradient(getattr(losses, name)(**options), x, labels) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_computes_in_float32(name, dtype):
    x, labels = data(30, 6, 8)
    x = x.to(dtype)
    loss = getattr(losses, name)()
    expected = value_and_gradient(loss, x.float(), labels)
    found = value_and_gradient(loss, x, labels)
    assert found[0].dtype == torch.float32
    assert found[1].dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = value_and_gradient(loss, x, labels)
    for result in (found, cast):
        torch.testing.assert_close(result[0], expected[0])
        torch.testing.assert_close(result[1], expected[1].to(dtype))


def test_operators_are_registered_as_torch_expects():
    x, labels = data(12, 4, 3)
    x = x.requires_grad_()
    y, reference_labels = data(7, 4, 3, seed=1)
    t = torch.rand(12, 2).sort(dim=1).values.requires_grad_()
    for problem in ((x, labels, None, None), (x, labels, y.requires_grad_(), reference_labels)):
        for rule, pool, numbers, limits in (
            (Hinge, "negatives", [2.0], None),
            (LogSumExp, "others", [-1.0], None),
            (Triplets, "negatives", [0.5, 1.0], t),
        ):
            arguments = (*problem, "euclidean", "blocked", "ieee", limits, rule.key(), pool, numbers)
            torch.library.opcheck(pair_statistics_op, arguments)
            if rule is not LogSumExp:
                torch.library.opcheck(pair_total_op, (*problem, "euclidean", limits, rule.key(), pool, numbers))
        index = torch.tensor([0, 3, 3]), torch.tensor([1, 2, 6])
        torch.library.opcheck(pair_distances_op, (problem[0], problem[2], "cosine", *index))
        torch.library.opcheck(positive_pairs_op, (labels, problem[3]))
        torch.library.opcheck(positive_slots_op, (labels, problem[3]))


@pytest.mark.parametrize(("name", "options"), MODULES, ids=str)
def test_losses_compile_into_one_graph(name, options):
    x, labels = data(20, 5, 4)
    loss = getattr(losses, name)(**options)
    expected = value_and_gradient(loss, x, labels)
    torch.compiler.reset()  # what it knows of the other classes counts against a limit
    found = value_and_gradient(torch.compile(loss, fullgraph=True, backend="aot_eager"), x, labels)
    torch.testing.assert_close(found, expected)


X, Y = data(6, 4, 2)
BAD = {
    "distance": (
        lambda: losses.NTXentLoss(distance="dot"),
        "distance: 'dot' is unknown; allowed are cosine, euclidean",
    ),
    "backend": (lambda: losses.NTXentLoss(backend="gpu"), "backend: 'gpu' is unknown; allowed are auto, blocked"),
    "precision": (lambda: losses.NTXentLoss(precision="fp8"), "precision: 'fp8' is unknown"),
    "kind": (lambda: losses.TripletMarginLoss(kind="hard"), "kind: 'hard' is unknown; allowed are all, semi-hard"),
    "mining": (lambda: losses.MinedTripletLoss(mining="any"), "mining: 'any' is unknown; allowed are batch-hard"),
    "swap": (lambda: losses.TripletMarginLoss(swap=True)(X, Y), "swap, smooth_loss: True, which needs the triplets"),
    "no labels": (lambda: losses.SupConLoss()(X), "labels: None; expected labels"),
    "lengths": (lambda: losses.SupConLoss()(X, Y[:4]), "labels: 4 labels for 6 rows"),
    "reference labels": (lambda: losses.SupConLoss()(X, Y, ref_emb=X), "reference_labels: None"),
    "tuple": (lambda: losses.SupConLoss()(X, Y, (Y, Y)), "indices_tuple: 2 tensors; expected 3"),
    "range": (
        lambda: losses.ContrastiveLoss()(X, Y, (Y, Y + 9, Y)),
        "indices_tuple: references from 9 to 10; there are",
    ),
    "not finite": (lambda: losses.SupConLoss()(X / 0, Y), "anchors: row 0 contains"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
