"""Heads over classes and proxies: against pytorch-metric-learning, against float64, on every backend."""

import itertools
import math
import sys

import pytest
import torch
from brute import run_python
from mlbench_kernels import losses as ours
from mlbench_kernels.ops.class_softmax import class_softmax
from pytorch_metric_learning import losses as theirs
from torch.autograd import gradcheck

HEADS = {
    "NormalizedSoftmaxLoss": {},
    "CosFaceLoss": {},
    "ArcFaceLoss": {},
    "ProxyNCALoss": {"softmax_scale": 3},
    "ProxyAnchorLoss": {},
}
SHAPES = [(1, 1, 2), (5, 7, 3), (40, 9, 16), (33, 2100, 5), (2100, 3, 5)]


def problem(count, classes, dimension, dtype=torch.float32):
    generator = torch.Generator().manual_seed(count)
    samples, weights = (torch.randn(size, dimension, generator=generator, dtype=dtype) for size in (count, classes))
    shift = torch.rand(count, generator=generator, dtype=dtype)
    return samples, weights, torch.randint(0, classes, (count,), generator=generator), shift


def dense(samples, weights, labels, shift, by_class):
    """Pair by pair out of the matrix, in float64."""
    logits = samples @ (weights / weights.norm(dim=1, keepdim=True)).T + shift[:, None]
    count, classes = logits.shape
    own = torch.stack([logits[i, labels[i]] for i in range(count)])
    if by_class:
        return own, torch.stack([torch.logsumexp(logits[labels != c, c], dim=0) for c in range(classes)])
    numbers = torch.arange(classes)
    return own, torch.stack([torch.logsumexp(logits[i, numbers != labels[i]], dim=0) for i in range(count)])


def check_against_dense(backend):
    for shape, by_class in itertools.product(SHAPES, (False, True)):
        samples, weights, labels, shift = problem(*shape)
        exact = [part.double().requires_grad_() for part in (samples, weights)]
        found = [part.clone().requires_grad_() for part in (samples, weights)]
        results = [
            dense(*exact, labels, shift.double(), by_class),
            class_softmax(*found, labels, shift, by_class=by_class, backend=backend),
        ]
        for value, expected in zip(results[1], results[0], strict=True):
            torch.testing.assert_close(value.double(), expected, atol=2e-5, rtol=1e-5)
        generator = torch.Generator().manual_seed(9)
        gradients = [torch.randn(len(part), generator=generator) for part in results[0]]
        for values in results:
            sum(
                torch.where(part > -torch.inf, part * gradient, 0).sum()
                for part, gradient in zip(values, gradients, strict=True)
            ).backward()
        for side, exact_side in zip(found, exact, strict=True):
            torch.testing.assert_close(side.grad.double(), exact_side.grad, atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_values_and_gradients_are_those_of_the_dense_form(backend):
    check_against_dense(backend)


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_values_and_gradients_in_the_interpreter():
    code = "import test_heads; test_heads.SHAPES[:] = [(5, 7, 3), (70, 130, 20), (3, 65, 140)]; "
    run_python(code + "test_heads.check_against_dense('triton')", TRITON_INTERPRET="1")


@pytest.mark.parametrize("by_class", [False, True])
def test_gradcheck(by_class):
    samples, weights, labels, shift = problem(6, 5, 4, torch.float64)

    def function(*sides):
        return tuple(class_softmax(*sides, labels, shift, by_class=by_class, backend="blocked"))

    assert gradcheck(function, (samples.requires_grad_(), weights.requires_grad_()))


def test_large_logits():
    samples, weights = torch.tensor([[200.0], [-200.0]]).requires_grad_(), torch.full((4, 1), 3.0)
    own, others = class_softmax(samples, weights, torch.tensor([0, 3]), backend="blocked")
    assert own.tolist() == [200, -200]
    assert others.tolist() == pytest.approx([200 + math.log(3), -200 + math.log(3)])
    others.sum().backward()
    assert samples.grad[:, 0].tolist() == pytest.approx([1, 1], abs=200 * 2**-23)  # 200 is rounded to float32


def pair(name, dimension=12, classes=7, seed=0):
    torch.manual_seed(seed)
    mine = getattr(ours, name)(classes, dimension, **HEADS[name])
    other = getattr(theirs, name)(classes, dimension, **HEADS[name])
    other.load_state_dict(mine.state_dict())  # the same names and shapes
    return mine, other


TRIPLETS = (torch.tensor([0, 1, 2]), torch.tensor([1, 0, 6]), torch.tensor([3, 3, 7]))
PAIRS = (torch.tensor([0, 1, 2]), torch.tensor([1, 0, 6]), torch.tensor([2, 2]), torch.tensor([0, 4]))


@pytest.mark.parametrize("indices", [None, TRIPLETS, PAIRS], ids=["all", "triplets", "pairs"])
@pytest.mark.parametrize("name", HEADS)
def test_value_and_gradients_equal_those_of_pytorch_metric_learning(name, indices):
    mine, other = pair(name)
    labels = torch.tensor([0, 0, 3, 6, 6, 2, 3, 3])
    found = []
    for head in (mine, other):
        rows = torch.randn(8, 12, generator=torch.Generator().manual_seed(1)).requires_grad_()
        value = head(rows, labels, indices)
        value.backward()
        found.append((value.detach(), rows.grad, *(part.grad for part in head.parameters())))
    for ours_part, their_part in zip(*found, strict=True):
        torch.testing.assert_close(ours_part, their_part, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_initial_weights_have_the_scale_of_pytorch_metric_learning(name):
    mine, other = (
        getattr(module, name)(400, 50, **HEADS[name]).state_dict().popitem()[1].std() for module in (ours, theirs)
    )
    assert float(mine) == pytest.approx(float(other), rel=0.05)


@pytest.mark.parametrize("name", HEADS)
def test_all_in_one_point_on_a_class_and_zero_rows_are_finite(name):
    mine, _ = pair(name)
    state = mine.state_dict().popitem()[1]
    centre = state[:, 0] if name in ("NormalizedSoftmaxLoss", "CosFaceLoss", "ArcFaceLoss") else state[0]
    for rows in (centre.repeat(4, 1), -centre.repeat(4, 1), torch.zeros(4, 12)):
        rows = rows.clone().requires_grad_()
        mine(rows, torch.zeros(4, dtype=torch.int64)).backward()
        assert torch.isfinite(rows.grad).all()


def test_half_precision_embeddings_under_autocast():
    mine, _ = pair("CosFaceLoss")
    rows, labels = torch.randn(8, 12), torch.arange(8) % 7
    with torch.autocast("cpu", torch.bfloat16):
        value = mine(rows.bfloat16(), labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, mine(rows.bfloat16().float(), labels), rtol=1e-5, atol=0)


def test_the_same_bits_every_time():
    samples, weights, labels, _ = problem(33, 2100, 5)
    found = []
    for _ in range(2):
        sides = [part.clone().requires_grad_() for part in (samples, weights)]
        class_softmax(*sides, labels).others.sum().backward()
        found.append([part.grad for part in sides])
    assert all(torch.equal(*parts) for parts in zip(*found, strict=True))


def test_it_is_a_torch_operator():
    samples, weights, labels, shift = problem(5, 7, 3)
    arguments = (samples.requires_grad_(), weights.requires_grad_(), labels, shift, True, "blocked", "ieee")
    torch.library.opcheck(torch.ops.mlbench_kernels.class_softmax.default, arguments)


def test_a_head_is_one_graph():
    mine, _ = pair("ArcFaceLoss")
    rows, labels = torch.randn(8, 12), torch.arange(8) % 7
    compiled = torch.compile(mine, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(rows, labels), mine(rows, labels), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.tensor([0, 7])}, "labels: 7; there are the classes 0 to 6"),
        ({"labels": torch.tensor([-1, 0])}, "labels: -1; there are the classes 0 to 6"),
        ({"embeddings": torch.zeros(2, 3)}, "embeddings: dimension 3; CosFaceLoss has 12"),
        ({"ref_emb": torch.zeros(2, 12)}, "ref_emb: CosFaceLoss compares with its classes and takes no references"),
        ({"embeddings": torch.full((2, 12), torch.nan)}, "samples: row 0 contains NaN"),
    ],
)
def test_bad_input_is_named(change, message):
    mine, _ = pair("CosFaceLoss")
    with pytest.raises(ValueError, match=message):
        mine(**{"embeddings": torch.zeros(2, 12), "labels": torch.tensor([0, 1])} | change)


def test_unknown_names_are_told_at_once():
    with pytest.raises(ValueError, match="backend: 'cuda' is unknown"):
        ours.CosFaceLoss(3, 4, backend="cuda")
    with pytest.raises(ValueError, match="precision: 'tf32' is a mode of backend 'triton'"):
        class_softmax(*problem(5, 7, 3), precision="tf32")
    with pytest.raises(ValueError, match="precision: 'int8' is unknown"):
        class_softmax(*problem(5, 7, 3), precision="int8")
    with pytest.raises(ValueError, match="num_classes: 0; expected a whole number, at least 1"):
        ours.CosFaceLoss(0, 4)
