"""Losses and their parts as components: all there, built from tables, strict, right where ours replace plain ones."""

import inspect

import numpy as np
import pytest
import pytorch_metric_learning as pml
import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers

from mlbench.api import ConfigError, UnknownNameError
from mlbench.registry import entries, info_of, load, resolve

CONTEXT = {"num_classes": 8, "embedding_size": 16}
PACKAGES = {
    "losses": losses,
    "miners": miners,
    "distances": distances,
    "reducers": reducers,
    "regularizers": regularizers,
}
#: Concrete classes that no table can make work; the packages' docstrings say why.
LEFT_OUT = {"BatchedDistance", "DoNothingReducer", "EmbeddingsAlreadyPackagedAsTriplets"}
ABSTRACT = {"GenericPairLoss", "EmbeddingRegularizerMixin", "WeightRegularizerMixin"}
#: Arguments of components that cannot be built without any.
ARGUMENTS = {
    ("losses", "cross-batch-memory"): {"loss": "contrastive", "miner": "multi-similarity"},
    ("losses", "multiple"): {"losses": ["contrastive", {"id": "nt-xent", "temperature": 0.1}]},
    ("losses", "ranked-list"): {"margin": 0.4, "Tn": 1.0},
    ("losses", "self-supervised"): {"loss": "nt-xent"},
    ("reducers", "class-weighted"): {"weights": [1.0] * 8},
    ("reducers", "multiple"): {"parts": ["pos_loss"], "reducers": ["sum"], "default_reducer": "mean"},
    ("reducers", "threshold"): {"low": 0.0},
    ("regularizers", "sparse-centers"): {"centers_per_class": 2},
}


def build(kind, table):
    return resolve(kind, table, "methods[0].loss").build(**CONTEXT)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(8).repeat_interleave(4)
    return torch.randn(32, 16, generator=generator).requires_grad_(), labels


def builtins(kind):
    return [entry for entry in entries(kind) if entry.distribution == "mlbench-dml"]


def every_part():
    return [(kind, entry.name, ARGUMENTS.get((kind, entry.name), {})) for kind in PACKAGES for entry in builtins(kind)]


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_concrete_class_of_pytorch_metric_learning_is_offered(kind):
    concrete = {
        name
        for name, member in vars(PACKAGES[kind]).items()
        if inspect.isclass(member) and not name.startswith("Base") and name not in ABSTRACT | LEFT_OUT
    }
    offered = {cls.__name__: cls for cls in (load(entry) for entry in builtins(kind))}
    assert concrete <= offered.keys()
    theirs = {name for name, cls in offered.items() if cls.__module__.startswith("pytorch_metric_learning")}
    assert theirs <= concrete


def test_the_version_that_was_checked():
    assert pml.__version__.startswith("2.9")


@pytest.mark.parametrize(("kind", "name", "arguments"), every_part())
def test_what_is_hashed_builds_the_same_component(kind, name, arguments):
    """A run's identity spells out every default; a component built from it is the same."""

    def table(value):
        if isinstance(value, dict) and "arguments" in value:
            return {"id": value["id"], **{key: table(inner) for key, inner in value["arguments"].items()}}
        return [table(inner) for inner in value] if isinstance(value, list) else value

    first = resolve(kind, {"id": f"mlbench/{name}", **arguments}, "x")
    again = resolve(kind, table(first.identity()), "x")
    assert again.identity() == first.identity()
    assert type(again.build(**CONTEXT)) is type(first.build(**CONTEXT))


@pytest.mark.parametrize("distance", [{"id": "lp", "p": 1}, "cosine", {"id": "dot-product"}, "snr"])
@pytest.mark.parametrize("reducer", ["avg-non-zero", "mean", "sum", "per-anchor", {"id": "threshold", "low": 0.1}])
def test_distances_and_reducers_nest(distance, reducer):
    embeddings, labels = batch()
    value = build("losses", {"id": "contrastive", "distance": distance, "reducer": reducer})(embeddings, labels)
    value.backward()
    assert torch.isfinite(value) and embeddings.grad.any()


@pytest.mark.parametrize("regularizer", ["center-invariant", "lp", "regular-face", "zero-mean"])
def test_regularizers_nest(regularizer):
    embeddings, labels = batch()
    table = {"id": "normalized-softmax", "weight_regularizer": regularizer, "embedding_regularizer": "lp"}
    loss, plain = build("losses", table), build("losses", "normalized-softmax")
    plain.load_state_dict(loss.state_dict())
    penalty = loss.weight_regularizer(loss.W.t()) + embeddings.norm(dim=1).mean()
    torch.testing.assert_close(loss(embeddings, labels), plain(embeddings, labels) + penalty)


def test_sparse_centers_gets_the_number_of_classes():
    regularizer = {"id": "sparse-centers", "centers_per_class": 3}
    loss = build("losses", {"id": "soft-triple", "centers_per_class": 3, "weight_regularizer": regularizer})
    assert torch.isfinite(loss(*batch()))
    assert loss.weight_regularizer.same_class_mask.shape == (24, 24)


def test_multiple_losses_are_a_weighted_sum():
    embeddings, labels = batch()
    parts = ["contrastive", {"id": "triplet-margin", "margin": 0.3}]
    both = {"id": "multiple", "losses": parts, "weights": [1.0, 0.25]}
    expected = losses.ContrastiveLoss()(embeddings, labels) + 0.25 * losses.TripletMarginLoss(0.3)(embeddings, labels)
    torch.testing.assert_close(build("losses", both)(embeddings, labels), expected)


def test_multiple_losses_with_miners():
    embeddings, labels = batch()
    table = {"id": "multiple", "losses": ["contrastive", "triplet-margin"]}
    table["miners"] = ["multi-similarity", "batch-hard"]
    mined = [miners.MultiSimilarityMiner()(embeddings, labels), miners.BatchHardMiner()(embeddings, labels)]
    expected = losses.ContrastiveLoss()(embeddings, labels, mined[0])
    expected = expected + losses.TripletMarginLoss()(embeddings, labels, mined[1])
    torch.testing.assert_close(build("losses", table)(embeddings, labels), expected)


def test_cross_batch_memory_remembers_and_resumes():
    table = {
        "id": "cross-batch-memory",
        "loss": {"id": "contrastive", "neg_margin": 0.5, "distance": {"id": "lp", "p": 2}},
        "miner": {"id": "multi-similarity", "epsilon": 0.2},
        "memory_size": 48,
    }
    memory = build("losses", table)
    for seed in range(2):
        memory(*batch(seed))
    assert memory.has_been_filled and memory.queue_idx == 16
    resumed = build("losses", table)
    resumed.load_state_dict(memory.state_dict())
    assert torch.equal(resumed(*batch(2)), memory(*batch(2)))


@pytest.mark.parametrize(
    ("wrapper", "inner", "reason"),
    [("cross-batch-memory", "arcface", "cannot use a memory"), ("self-supervised", "arcface", "needs classes")],
)
def test_wrappers_say_which_losses_they_take(wrapper, inner, reason):
    place = rf"methods\[0\].loss: mlbench/{wrapper} "
    with pytest.raises(ConfigError, match=rf"{place}.*ArcFaceLoss {reason}.*ContrastiveLoss"):
        build("losses", {"id": wrapper, "loss": inner})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("triplet-margn", r"methods\[0\].loss: unknown loss 'triplet-margn'; did you mean .*triplet-margin"),
        ({"id": "triplet-margin", "margn": 0.1}, r"methods\[0\].loss.margn: unknown; did you mean margin\?"),
        ({"id": "n-pairs", "zzz": 1}, r"methods\[0\].loss.zzz: unknown; valid: .*distance"),
        ({"id": "triplet-margin", "margin": "big"}, r"methods\[0\].loss.margin: expected number, got str 'big'"),
        ({"id": "triplet-margin", "swap": 1}, r"methods\[0\].loss.swap: expected bool, got int 1"),
        ({"id": "contrastive", "mat_based_loss": True}, r"methods\[0\].loss.mat_based_loss: unknown"),
        (
            {"id": "contrastive", "distance": {"id": "cosine", "normalize_embeddings": False}},
            r"methods\[0\].loss.distance.normalize_embeddings: unknown",
        ),
        ({"id": "contrastive", "distance": "cosin"}, r"loss.distance: unknown distance 'cosin'; did you mean"),
        (
            {"id": "multiple", "losses": ["contrastive", {"id": "nt-xent", "temprature": 1.0}]},
            r"methods\[0\].loss.losses\[1\].temprature: unknown; did you mean temperature\?",
        ),
        ("ranked-list", r"methods\[0\].loss: mlbench/ranked-list needs margin, Tn"),
        ({"id": "contrastive", "reducer": {"id": "per-anchor", "aggregation": "max"}}, r"reducer.aggregation: .*'max'"),
        ({"id": "contrastive", "reducer": {"id": "class-weighted", "weights": ["a"]}}, r"loss.reducer.weights: "),
    ],
)
def test_mistakes_are_named_with_their_place(table, message):
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        resolve("losses", table, "methods[0].loss")


def test_values_that_a_constructor_refuses_name_the_place():
    with pytest.raises(ConfigError, match=r"methods\[0\].loss: mlbench/pnp refuses its arguments: variant=X"):
        build("losses", {"id": "pnp", "variant": "X"})


def test_random_triplets_by_number():
    for name in ("triplet-margin", "margin"):
        assert torch.isfinite(build("losses", {"id": name, "triplets_per_anchor": 3})(*batch()))


def test_smooth_ap_equals_its_definition():
    embeddings, labels = batch()
    labels = labels[torch.randperm(32, generator=torch.Generator().manual_seed(0))]
    s = torch.nn.functional.normalize(embeddings.detach().double()).numpy()
    s = s @ s.T
    average = []
    for q in range(32):
        above = 1 / (1 + np.exp(-(s[q][None, :] - s[q][:, None]) / 0.1))
        np.fill_diagonal(above, 0)
        same = (labels == labels[q]).numpy()
        average.append(np.mean((1 + above[:, same].sum(1))[same] / (1 + above.sum(1))[same]))
    value = build("losses", {"id": "smooth-ap", "temperature": 0.1})(embeddings, labels)
    assert value.item() == pytest.approx(1 - np.mean(average), abs=1e-5)


def test_smooth_ap_equals_the_plain_class_where_that_is_right():
    embeddings, labels = batch()[0][:16], torch.arange(4).repeat_interleave(4)
    ours, plain = build("losses", "smooth-ap"), losses.SmoothAPLoss()
    torch.testing.assert_close(ours(embeddings, labels), plain(embeddings, labels))


def test_dynamic_soft_margin_equals_the_plain_class_on_its_first_batch():
    embeddings, labels = batch()
    ours, plain = build("losses", "dynamic-soft-margin"), losses.DynamicSoftMarginLoss()
    torch.testing.assert_close(ours(embeddings, labels), plain(embeddings, labels))
    torch.testing.assert_close(ours.hist_, plain.hist_.detach())


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_histogram_equals_the_plain_class():
    embeddings, labels = batch()
    ours, plain = build("losses", {"id": "histogram", "n_bins": 20}), losses.HistogramLoss(n_bins=20)
    torch.testing.assert_close(ours(embeddings, labels), plain(embeddings, labels))
    with pytest.raises(ConfigError, match="delta and n_bins must satisfy"):
        build("losses", {"id": "histogram", "n_bins": 20, "delta": 0.3})


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("plain", [losses.LargeMarginSoftmaxLoss, losses.SphereFaceLoss])
def test_multiplied_angles_equal_the_plain_classes(plain):
    embeddings, labels = batch()
    name = "sphereface" if plain is losses.SphereFaceLoss else "large-margin-softmax"
    ours, theirs = build("losses", {"id": name, "margin": 3}), plain(margin=3, **CONTEXT)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(embeddings, labels), theirs(embeddings, labels))


def test_two_view_losses_use_the_second_view_and_say_so():
    (embeddings, labels), (second, _) = batch(), batch(1)
    plain = {"vicreg": losses.VICRegLoss(), "self-supervised": losses.SelfSupervisedLoss(losses.NTXentLoss())}
    needing = {entry.name for entry in builtins("losses") if "second_view" in info_of(load(entry)).needs}
    assert needing == set(plain)
    for name, theirs in plain.items():
        ours = build("losses", {"id": name, **ARGUMENTS.get(("losses", name), {})})
        torch.testing.assert_close(
            ours(embeddings, labels, None, ref_emb=second, ref_labels=labels), theirs(embeddings, ref_emb=second)
        )
        with pytest.raises(ValueError, match="second view"):
            ours(embeddings, labels)


def test_manifold_takes_a_proxy_for_each_class():
    embeddings, labels = batch()
    ours = build("losses", {"id": "manifold", "K": 8})
    plain = losses.ManifoldLoss(l=16, K=8)
    plain.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(embeddings, labels), plain(embeddings, indices_tuple=labels))


def test_reducers_from_tables_equal_the_plain_ones():
    embeddings, labels = batch()
    weights = [float(label) for label in range(8)]

    def pair_of(table, plain):
        loss = build("losses", {"id": "contrastive", "reducer": table})
        return loss(embeddings, labels), losses.ContrastiveLoss(reducer=plain)(embeddings, labels)

    torch.testing.assert_close(*pair_of("per-anchor", reducers.PerAnchorReducer()))
    weighted = {"id": "class-weighted", "weights": weights}
    torch.testing.assert_close(*pair_of(weighted, reducers.ClassWeightedReducer(torch.tensor(weights))))
    parts = {"id": "multiple", "parts": ["pos_loss", "neg_loss"], "reducers": ["sum", "mean"]}
    plain = reducers.MultipleReducers({"pos_loss": reducers.SumReducer(), "neg_loss": reducers.MeanReducer()})
    torch.testing.assert_close(*pair_of(parts, plain))
    total = {"id": "per-anchor", "aggregation": "sum", "reducer": "sum"}
    torch.testing.assert_close(*pair_of(total, reducers.SumReducer()))


def test_zero_mean_on_normalised_embeddings():
    embeddings = batch()[0]
    normalised = torch.nn.functional.normalize(embeddings)
    value = build("regularizers", {"id": "zero-mean", "normalize": True})(3 * embeddings)
    torch.testing.assert_close(value, normalised.sum(1).abs().mean())
    torch.testing.assert_close(build("regularizers", "zero-mean")(embeddings), embeddings.sum(1).abs().mean())
