"""The named methods: the fourteen of the Reality Check and the untrained baseline."""

import pytest
import torch

from mlbench.registry import resolve
from mlbench.registry.schema import parameters
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
