"""The named methods: the fourteen of the Reality Check and the untrained baseline."""

import pytest
import torch

from mlbench.registry import resolve
from mlbench.registry.schema import parameters
from mlbench.spec import load_benchmark
from mlbench.spec.method import Method
from mlbench.spec.named import named_methods

EMBEDDING = ["Contrastive", "Triplet", "NT-Xent", "Margin", "Margin/class", "FastAP", "SNR", "MS", "MS+Miner"]
CLASSIFICATION = ["ProxyNCA", "N.Softmax", "CosFace", "ArcFace", "SoftTriple"]
#: Best hyperparameters on CUB200 at batch size 32, as published (powerful-benchmarker, docs/papers/mlrc.md).
PUBLISHED = {
    "Contrastive": {"loss.pos_margin": -0.2, "loss.neg_margin": 0.3841},
    "Triplet": {"loss.margin": 0.0961},
    "NT-Xent": {"loss.temperature": 0.0091},
    "ProxyNCA": {"loss_optimizer.lr": 6.04e-3, "loss.softmax_scale": 13.98},
    "Margin": {"loss_optimizer.lr": 1.31e-3, "loss.margin": 0.0878, "loss.beta": 0.7838},
    "Margin/class": {"loss_optimizer.lr": 2.65e-4, "loss.margin": 0.0779, "loss.beta": 0.9796},
    "N.Softmax": {"loss_optimizer.lr": 4.46e-3, "loss.temperature": 0.1087},
    "CosFace": {"loss_optimizer.lr": 2.53e-3, "loss.margin": 0.6182, "loss.scale": 100.0},
    "ArcFace": {"loss_optimizer.lr": 5.13e-3, "loss.margin": 23.22, "loss.scale": 100.0},
    "FastAP": {"loss.num_bins": 17},
    "SNR": {"loss.pos_margin": 0.3264, "loss.neg_margin": 0.8446, "loss.embedding_reg_weight": 0.1382},
    "MS": {"loss.alpha": 0.01, "loss.beta": 50.60, "loss.base": 0.56},
    "MS+Miner": {"loss.alpha": 17.97, "loss.beta": 75.66, "loss.base": 0.77, "miner.epsilon": 0.39},
    "SoftTriple": {
        "loss_optimizer.lr": 5.37e-5,
        "loss.la": 78.02,
        "loss.gamma": 58.95,
        "loss.weight_reg_weight": 2 * 0.3754,  # the regularizer was twice as large then
        "loss.margin": 0.4307,
    },
}

#: The same on Cars196 and SOP. The paper gives no weight of SoftTriple's regularizer on SOP.
ELSEWHERE = {
    "cars196": {
        "Contrastive": {"loss.pos_margin": 0.2652, "loss.neg_margin": 0.5409},
        "Triplet": {"loss.margin": 0.1190},
        "NT-Xent": {"loss.temperature": 0.0219},
        "ProxyNCA": {"loss_optimizer.lr": 4.43e-3, "loss.softmax_scale": 7.97},
        "Margin": {"loss_optimizer.lr": 1.11e-4, "loss.margin": 0.0781, "loss.beta": 1.3164},
        "Margin/class": {"loss_optimizer.lr": 4.76e-5, "loss.margin": 0.0776, "loss.beta": 0.9598},
        "N.Softmax": {"loss_optimizer.lr": 1.10e-2, "loss.temperature": 0.0886},
        "CosFace": {"loss_optimizer.lr": 7.41e-3, "loss.margin": 0.4324, "loss.scale": 161.5},
        "ArcFace": {"loss_optimizer.lr": 7.39e-6, "loss.margin": 20.52, "loss.scale": 49.50},
        "FastAP": {"loss.num_bins": 27},
        "SNR": {"loss.pos_margin": 0.1670, "loss.neg_margin": 0.9337, "loss.embedding_reg_weight": 0.0},
        "MS": {"loss.alpha": 14.35, "loss.beta": 75.83, "loss.base": 0.66},
        "MS+Miner": {"loss.alpha": 7.49, "loss.beta": 47.99, "loss.base": 0.63, "miner.epsilon": 0.72},
        "SoftTriple": {
            "loss_optimizer.lr": 1.40e-4,
            "loss.la": 17.69,
            "loss.gamma": 19.18,
            "loss.weight_reg_weight": 2 * 0.0669,
            "loss.margin": 0.3588,
        },
    },
    "sop": {
        "Contrastive": {"loss.pos_margin": 0.2850, "loss.neg_margin": 0.5130},
        "Triplet": {"loss.margin": 0.0451},
        "NT-Xent": {"loss.temperature": 0.0002},
        "ProxyNCA": {"loss_optimizer.lr": 5.28e-4, "loss.softmax_scale": 10.73},
        "Margin": {"loss_optimizer.lr": 1.82e-3, "loss.margin": 0.0915, "loss.beta": 1.1072},
        "Margin/class": {"loss_optimizer.lr": 7.10e-5, "loss.margin": 0.0518, "loss.beta": 0.8424},
        "N.Softmax": {"loss_optimizer.lr": 5.46e-4, "loss.temperature": 0.0630},
        "CosFace": {"loss_optimizer.lr": 2.16e-3, "loss.margin": 0.3364, "loss.scale": 100.0},
        "ArcFace": {"loss_optimizer.lr": 2.01e-3, "loss.margin": 18.63, "loss.scale": 220.3},
        "FastAP": {"loss.num_bins": 16},
        "SNR": {"loss.pos_margin": 0.3759, "loss.neg_margin": 1.0831, "loss.embedding_reg_weight": 0.0},
        "MS": {"loss.alpha": 8.49, "loss.beta": 57.38, "loss.base": 0.41},
        "MS+Miner": {"loss.alpha": 15.94, "loss.beta": 156.61, "loss.base": 0.72, "miner.epsilon": 0.34},
        "SoftTriple": {"loss_optimizer.lr": 8.68e-5, "loss.la": 100.0, "loss.gamma": 47.90, "loss.margin": 0.3145},
    },
}
#: Where the paper searched another range there than on CUB200 (the axes of its reports), and on which scale.
OTHER_RANGES = {
    "cars196": {
        ("NT-Xent", "loss.temperature"): (1e-5, 100, True),
        ("MS", "loss.alpha"): (0.01, 100, False),
        ("SoftTriple", "loss.gamma"): (0.01, 100, False),
    },
    "sop": {
        ("NT-Xent", "loss.temperature"): (1e-5, 100, True),
        ("ArcFace", "loss.scale"): (0.01, 300, False),
        ("MS", "loss.alpha"): (0.01, 100, False),
        ("MS+Miner", "loss.beta"): (0.01, 200, False),
        ("SoftTriple", "loss.la"): (0.01, 200, False),
        ("SoftTriple", "loss.gamma"): (0.01, 100, False),
    },
}


def method(name):
    return Method.model_validate(named_methods()[name])


def with_values(name, values):
    """The method's loss and miner tables with searched values filled in."""
    tables = {
        part: {"id": component.id, **component.arguments}
        for part, component in (("loss", method(name).loss), ("miner", method(name).miner))
        if component is not None
    }
    for path, value in values.items():
        part, *inner, last = path.split(".")
        table = tables.setdefault(part, {})
        for key in inner:
            table = table[key]
        table[last] = value
    return tables


def test_all_are_there():
    assert {*EMBEDDING, *CLASSIFICATION, "Untrained"} <= set(named_methods())
    assert method("Untrained").loss is None
    assert len(PUBLISHED) == 14


def test_batches_and_weight_decay():
    assert {method(name).samples_per_class for name in EMBEDDING} == {4}
    assert {method(name).samples_per_class for name in CLASSIFICATION} == {1}
    undecayed = {name for name in PUBLISHED if method(name).loss_optimizer.weight_decay == 0}
    assert undecayed == {"Margin", "Margin/class"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_search_path_is_an_argument(name):
    for path in method(name).search:
        part, *inner, last = path.split(".")
        if part == "loss_optimizer":
            assert (inner, last) == ([], "lr")
            continue
        resolved = resolve({"loss": "losses", "miner": "miners"}[part], with_values(name, {})[part], part)
        for key in inner:
            resolved = resolved.arguments[key]
        assert last in parameters(resolved.component), path


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_rate_of_loss_parameters_is_searched_exactly_where_there_are_any(name):
    loss = resolve("losses", with_values(name, {})["loss"], "loss").build(num_classes=8, embedding_size=16)
    assert bool(list(loss.parameters())) == ("loss_optimizer.lr" in method(name).search)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_optimum_lies_in_the_space(name):
    space = method(name).search
    assert set(space) == set(PUBLISHED[name])
    for path, value in PUBLISHED[name].items():
        assert space[path].low <= value <= space[path].high, path


def range_of(dimension):
    return dimension.low, dimension.high, dimension.log


@pytest.mark.parametrize("dataset", ELSEWHERE)
def test_the_spaces_of_the_papers_other_datasets(dataset):
    methods = {method.name: method for method in load_benchmark(f"reality-check-{dataset}").methods}
    for name, optimum in ELSEWHERE[dataset].items():
        assert set(methods[name].search) == set(optimum)
        for path, dimension in methods[name].search.items():
            assert dimension.low <= optimum[path] <= dimension.high, (name, path)
            other = OTHER_RANGES[dataset].get((name, path), range_of(method(name).search[path]))
            assert range_of(dimension) == other, (name, path)


def test_soft_triple_on_sop_is_cub200s_without_the_regularizer():
    (found,) = (item for item in load_benchmark("reality-check-sop").methods if item.name == "SoftTriple")
    arguments = dict(method("SoftTriple").loss.arguments)
    del arguments["weight_regularizer"]
    assert found.loss.arguments == arguments
    assert (found.samples_per_class, found.loss_optimizer) == (1, method("SoftTriple").loss_optimizer)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("u", [0.0, 0.5, 1.0, "published"])
def test_the_whole_space_can_be_trained_on(name, u):
    values = PUBLISHED[name] if u == "published" else {path: d.at(u) for path, d in method(name).search.items()}
    values = {path: value for path, value in values.items() if not path.startswith("loss_optimizer")}
    torch.manual_seed(0)
    tables = with_values(name, values)
    loss = resolve("losses", tables["loss"], "loss").build(num_classes=32, embedding_size=128)
    per_class = method(name).samples_per_class
    labels = torch.arange(32 // per_class).repeat_interleave(per_class)
    embeddings = torch.randn(32, 128).requires_grad_()
    mined = resolve("miners", tables["miner"], "miner").build()(embeddings, labels) if "miner" in tables else None
    value = loss(embeddings, labels, mined)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(embeddings.grad).all()


def test_margins_per_class():
    plain, per_class = (
        resolve("losses", with_values(name, {"loss.beta": 0.7})["loss"], "loss").build(num_classes=5, embedding_size=4)
        for name in ("Margin", "Margin/class")
    )
    assert plain.beta.tolist() == pytest.approx([0.7])
    assert per_class.beta.tolist() == pytest.approx([0.7] * 5)


def test_the_snr_regularizer_sees_normalised_embeddings():
    """As in pytorch-metric-learning 0.9.85, where every loss normalised its input."""
    embeddings = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))

    def value(weight):
        table = with_values("SNR", {"loss.embedding_reg_weight": weight})["loss"]
        return resolve("losses", table, "loss").build()(embeddings, torch.arange(8) // 2)

    expected = 0.5 * torch.nn.functional.normalize(embeddings).sum(1).abs().mean()
    torch.testing.assert_close(value(0.5) - value(0.0), expected)
