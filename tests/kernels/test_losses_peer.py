"""The drop-in losses equal those of pytorch-metric-learning: value and gradients, default reducers included."""

import pytest
import torch
from brute import data
from mlbench_kernels import losses as ours
from pytorch_metric_learning import distances, miners
from pytorch_metric_learning import losses as theirs

COSINE, SQUARED = distances.CosineSimilarity(), distances.LpDistance(power=2)
RAW = distances.LpDistance(normalize_embeddings=False)
#: name: (class, arguments of ours, arguments of theirs)
CASES = {
    "contrastive": ("ContrastiveLoss", {}, {}),
    "contrastive, cosine": (
        "ContrastiveLoss",
        {"pos_margin": 0.9, "neg_margin": 0.1, "distance": "cosine"},
        {"pos_margin": 0.9, "neg_margin": 0.1, "distance": COSINE},
    ),
    "contrastive, squared": ("ContrastiveLoss", {"distance": "squared-euclidean"}, {"distance": SQUARED}),
    "contrastive, raw": (
        "ContrastiveLoss",
        {"neg_margin": 5.0, "normalize_embeddings": False},
        {"neg_margin": 5.0, "distance": RAW},
    ),
    "multi-similarity": ("MultiSimilarityLoss", {}, {}),
    "multi-similarity, raw": (
        "MultiSimilarityLoss",
        {"beta": 9.0, "base": 4.0, "distance": "euclidean", "normalize_embeddings": False},
        {"beta": 9.0, "base": 4.0, "distance": RAW},
    ),
    "nt-xent": ("NTXentLoss", {}, {}),
    "nt-xent, squared": ("NTXentLoss", {"distance": "squared-euclidean"}, {"distance": SQUARED}),
    "sup-con": ("SupConLoss", {}, {}),
    "sup-con, euclidean": ("SupConLoss", {"distance": "euclidean"}, {"distance": distances.LpDistance()}),
    "lifted": ("LiftedStructureLoss", {}, {}),
    "lifted, cosine": (
        "LiftedStructureLoss",
        {"neg_margin": 0.2, "pos_margin": 0.9, "distance": "cosine"},
        {"neg_margin": 0.2, "pos_margin": 0.9, "distance": COSINE},
    ),
    "generalized lifted": ("GeneralizedLiftedStructureLoss", {}, {}),
    "triplet": ("TripletMarginLoss", {}, {}),
    "triplet, cosine": ("TripletMarginLoss", {"distance": "cosine"}, {"distance": COSINE}),
    "triplet, raw": (
        "TripletMarginLoss",
        {"margin": 1.0, "normalize_embeddings": False},
        {"margin": 1.0, "distance": RAW},
    ),
}
FORMS = ["all pairs", "references", "triplets", "pairs"]


def problem(form, dtype):
    x, labels = data(45, 11, 8)
    arguments = [x.to(dtype), labels, None, None, None]
    if form == "references":
        y, reference_labels = data(37, 11, 10, seed=1)
        arguments[3:] = y.to(dtype), reference_labels
    if form == "triplets":
        arguments[2] = tuple(part[::20] for part in miners.TripletMarginMiner(margin=0.1)(x, labels))
    if form == "pairs":
        arguments[2] = miners.MultiSimilarityMiner()(x, labels)
    return arguments


def value_and_gradients(loss, arguments):
    x, labels, indices, y, reference_labels = arguments
    sides = [part.clone().requires_grad_() for part in (x, y) if part is not None]
    value = loss(sides[0], labels, indices, sides[1] if len(sides) > 1 else None, reference_labels)
    return value, *torch.autograd.grad(value, sides)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_equals_its_peer(case, form):
    name, our_arguments, their_arguments = CASES[case]
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        found = value_and_gradients(getattr(ours, name)(**our_arguments), problem(form, dtype))
        expected = value_and_gradients(getattr(theirs, name)(**their_arguments), problem(form, torch.float64))
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == dtype
            torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)
        assert found[0] > 0


@pytest.mark.parametrize("options", [{"swap": True}, {"smooth_loss": True}], ids=str)
def test_options_of_listed_triplets(options):
    arguments = problem("triplets", torch.float64)
    found = value_and_gradients(ours.TripletMarginLoss(**options), arguments)
    expected = value_and_gradients(theirs.TripletMarginLoss(**options), arguments)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("form", ["all pairs", "references"])
@pytest.mark.parametrize("margin", [0.05, 0.4])
def test_semi_hard_triplets_are_those_of_the_miner_of_that_margin(margin, form):
    arguments = problem(form, torch.float64)
    loss = ours.TripletMarginLoss(margin=margin, kind="semi-hard")
    found = value_and_gradients(loss, arguments)
    miner = miners.TripletMarginMiner(margin=margin, type_of_triplets="semihard")
    arguments[2] = miner(arguments[0], arguments[1], arguments[3], arguments[4])
    expected = value_and_gradients(theirs.TripletMarginLoss(margin=margin), arguments)
    torch.testing.assert_close(found, expected)
    assert loss.terms == len(arguments[2][0])


@pytest.mark.parametrize("case", ["contrastive", "multi-similarity", "nt-xent", "sup-con", "triplet"])
def test_training_takes_the_same_course(case):
    name, our_arguments, their_arguments = CASES[case]
    vectors, labels = data(32, 10, 8)
    curves = []
    for loss in (getattr(ours, name)(**our_arguments), getattr(theirs, name)(**their_arguments)):
        torch.manual_seed(0)
        head = torch.nn.Linear(10, 6, dtype=torch.float64)
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
        curve = []
        for _ in range(15):
            value = loss(head(vectors.double()), labels)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            curve.append(value.detach())
        curves.append(torch.stack(curve))
    assert curves[0][-1] < curves[0][0]
    torch.testing.assert_close(*curves, rtol=1e-8, atol=1e-10)
