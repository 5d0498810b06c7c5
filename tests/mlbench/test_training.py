"""One training: what it repeats, when it stops, what it trains, how it ends early."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from mlbench.api import ComponentInfo, Diverged, GroupedBatch
from mlbench.data.images import ImageStore
from mlbench.execution import open_study
from mlbench.registry import resolve
from mlbench.spec import load_benchmark
from mlbench.training import embed, train
from mlbench.training.setup import model_of, setup_of

TRIPLET = {"name": "Triplet", "loss": {"id": "triplet-margin", "margin": 0.1}}
MINED = {"name": "Mined", "loss": {"id": "margin"}, "miner": "distance-weighted"}
PROXIES = {"name": "Proxies", "loss": {"id": "cosface", "scale": 16.0}, "samples_per_class": 1}


@pytest.fixture(scope="module")
def views(tiny):
    """Training and validation images of the first fold."""
    study = open_study(load_benchmark(tiny()))
    fold = study.recipe.splits.folds[0]
    dataset = resolve("datasets", tiny()["dataset"], "dataset").build()
    store = ImageStore.build(dataset, 32)
    return store.view(fold.train), store.view(fold.val)


@pytest.fixture
def prepared(tiny, views):
    """Everything that the first training of a method needs, built from its request."""

    def prepare(method, seed=3, **change):
        request = request_of(tiny, method, **change) | {"seed": seed}
        return setup_of(request, views[0], "cpu")

    return prepare


def request_of(tiny, method, **change):
    study = open_study(load_benchmark(tiny(method, **change)))
    request = study.protocol.request(study.plan.jobs[0], {})
    assert request is not None and request["job"]["role"] == "reproduction"
    return request


def trained(setup, views):
    return train(setup, *views, lambda entry: None)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class Loss(nn.Module):
    """A loss that is a function of the embeddings and keeps what it was called with."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.calls = []

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        self.calls.append((embeddings, labels, indices_tuple, ref_emb, ref_labels))
        return self.function(embeddings)


class TwoViews(Loss):
    info = ComponentInfo(needs=frozenset({"second_view"}))


class Metrics:
    """Validation results as written down before."""

    def __init__(self, scores):
        self.scores = iter(scores)
        self.seen = []

    def __call__(self, embeddings, labels):
        self.seen.append(embeddings)
        return {"map_at_r": next(self.scores)}


# -- repeatable ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [TRIPLET, MINED, PROXIES], ids=lambda method: method["name"])
def test_the_same_seed_gives_the_same_bits_whatever_the_process_did_before(prepared, views, method):
    affine = {"affine": {"degrees": 10.0, "translate": 0.1}, "flip": 0.5, "invert": 0.5}
    first = trained(prepared(method, transforms=affine), views)
    trained(prepared(PROXIES, seed=8), views)
    torch.rand(7), np.random.rand(7), torch.set_num_threads(2)
    second = trained(prepared(method, transforms=affine), views)
    assert same(first.state, second.state)
    assert first.curve == second.curve and first.best == second.best


def test_another_seed_gives_another_model(prepared, views):
    first, second = (trained(prepared(TRIPLET, seed=seed), views) for seed in (1, 2))
    assert not torch.equal(first.state["embedder.weight"], second.state["embedder.weight"])
    assert first.curve != second.curve


def test_methods_with_one_seed_start_from_the_same_weights_and_batches(prepared, views):
    triplet, proxies = prepared(TRIPLET), prepared({**PROXIES, "samples_per_class": 4})
    assert same(triplet.model.state_dict(), proxies.model.state_dict())
    assert next(triplet.batches).tolist() == next(proxies.batches).tolist()


# -- early stopping --------------------------------------------------------------------------------------------------

#: Scores, in order of the validations -> epochs validated, best epoch. An epoch is one batch.
STOPPING = {
    "every epoch, patience 1": ((1, 1, 10), [0.1, 0.3, 0.2, 0.2], [1, 2, 3, 4], 2),
    "a gain starts the patience anew": ((1, 1, 10), [0.1, 0.0, 0.3, 0.2, 0.2], [1, 2, 3, 4, 5], 3),
    "no patience": ((1, 0, 10), [0.1, 0.2, 0.1], [1, 2, 3], 2),
    "an equal score is no gain": ((1, 0, 10), [0.3, 0.3], [1, 2], 1),
    "stopping waits for a validation": ((4, 1, 30), [0.5, 0.4], [4, 8], 4),
    "the last epoch is always validated": ((3, 9, 4), [0.1, 0.2], [3, 4], 4),
    "gains to the end": ((2, 0, 6), [0.1, 0.2, 0.3], [2, 4, 6], 6),
    "zero is a score": ((1, 0, 10), [0.0, 0.0], [1, 2], 1),
    # Epochs without gain in the published configurations: 5, 3 and 2 validations.
    "CUB": ((2, 9, 1000), [0.5, *[0.4] * 5], [2, 4, 6, 8, 10, 12], 2),
    "Cars": ((5, 14, 1000), [0.5, *[0.4] * 3], [5, 10, 15, 20], 5),
    "SOP": ((20, 39, 1000), [0.5, *[0.4] * 2], [20, 40, 60], 20),
}


@pytest.mark.parametrize("case", STOPPING.values(), ids=STOPPING)
def test_training_stops_when_validation_has_not_risen_for_longer_than_the_patience(prepared, views, case):
    (every, patience, most), scores, epochs, best = case
    steps = {"iterations_per_epoch": 1, "evaluate_every": every, "patience": patience, "max_epochs": most}
    setup = dataclasses.replace(prepared(TRIPLET, training=steps), metrics=Metrics(scores))
    told = []
    done = train(setup, *views, lambda entry: told.append(dict(entry)))
    assert [entry["epoch"] for entry in done.curve] == epochs
    assert [entry["map_at_r"] for entry in done.curve] == scores
    assert done.best == done.curve[epochs.index(best)]
    assert told == done.curve
    assert done.images == 8 * epochs[-1]


def test_the_model_of_the_best_validation_is_kept(prepared, tiny, views):
    setup = prepared(TRIPLET, training={"max_epochs": 3, "patience": 5})
    setup = dataclasses.replace(setup, metrics=(metrics := Metrics([0.1, 0.9, 0.2])))
    done = trained(setup, views)
    model = model_of(request_of(tiny, TRIPLET), views[0])
    model.load_state_dict(done.state)
    kept = embed(model, views[1], setup.eval_transform, "cpu")
    assert torch.equal(kept, metrics.seen[1])
    assert not torch.equal(kept, metrics.seen[2])


def test_a_model_with_one_weight_under_two_names_is_kept(prepared, views):
    setup = prepared(TRIPLET, training={"max_epochs": 1, "iterations_per_epoch": 1})
    setup.model.also = setup.model.embedder
    done = trained(setup, views)
    kept = load(save({name: value.contiguous() for name, value in done.state.items()}))  # refuses shared memory
    assert same(kept, setup.model.state_dict()) and torch.equal(kept["also.weight"], kept["embedder.weight"])


# -- precision -------------------------------------------------------------------------------------------------------


def test_mixed_precision_reaches_the_model_and_nothing_behind_it(prepared, views):
    def seen(precision):
        """What the loss is given in the first batch."""
        loss = Loss(lambda embeddings: embeddings.pow(2).mean() * (not torch.is_autocast_enabled("cpu")))
        setup = prepared(TRIPLET, training={"precision": precision, "iterations_per_epoch": 1, "max_epochs": 1})
        trained(dataclasses.replace(setup, loss=loss), views)
        return loss.calls[0][0]

    exact, lowered = seen("fp32"), seen("bf16")
    assert lowered.dtype == torch.float32 and lowered.grad_fn is not None and lowered.abs().sum() > 0
    error = (lowered - exact).norm(dim=1) / exact.norm(dim=1)
    assert 0 < error.max() < 0.02  # five layers, each rounded to 8 bits: 5 * 2^-8


def test_mixed_precision_trains_to_the_same_bits_again_and_is_validated_in_full(prepared, views):
    training = {"precision": "bf16", "max_epochs": 1, "iterations_per_epoch": 3}
    setup = dataclasses.replace(prepared(TRIPLET, training=training), metrics=(metrics := Metrics([0.5])))
    done, again = trained(setup, views), trained(prepared(TRIPLET, training=training), views)
    other = trained(prepared(TRIPLET, training=training | {"precision": "fp32"}), views)
    assert same(done.state, again.state) and not same(done.state, other.state)
    assert {tensor.dtype for tensor in done.state.values()} == {torch.float32, torch.int64}
    setup.model.precision = "fp32"
    assert torch.equal(metrics.seen[0], embed(setup.model, views[1], setup.eval_transform, "cpu"))


# -- what is trained -------------------------------------------------------------------------------------------------


def test_parameters_of_the_loss_move_and_so_does_the_model(prepared, views):
    setup = prepared(PROXIES)
    before = {name: value.clone() for name, value in setup.loss.named_parameters()}
    start = {name: value.clone() for name, value in setup.model.state_dict().items()}
    done = trained(setup, views)
    assert before and not any(torch.equal(before[name], value) for name, value in setup.loss.named_parameters())
    assert not torch.equal(start["embedder.weight"], done.state["embedder.weight"])


def test_model_and_loss_have_optimisers_of_their_own_and_a_method_changes_that_of_its_loss(prepared, views):
    # Plain gradient descent with weight decay has a closed form where the gradient is constant.
    optimizer = {"name": "SGD", "lr": 0.5, "weight_decay": 0.2, "momentum": 0.0}
    method = {**TRIPLET, "loss_optimizer": {"lr": 0.1, "weight_decay": 0.5}}
    steps = {"iterations_per_epoch": 3, "max_epochs": 1, "optimizer": optimizer}
    setup = prepared(method, training=steps | {"loss_optimizer": optimizer | {"lr": 7.0}})
    loss = Loss(lambda embeddings: 0.0 * embeddings.sum() + 2.0 * loss.weight.sum())
    loss.weight = nn.Parameter(torch.ones(4))
    start = setup.model.embedder.weight.detach().clone()
    done = trained(dataclasses.replace(setup, loss=loss), views)
    expected = 1.0
    for _ in range(3):
        expected -= 0.1 * (2.0 + 0.5 * expected)
    assert loss.weight.detach().tolist() == pytest.approx([expected] * 4)
    decayed = start * (1 - 0.5 * 0.2) ** 3
    assert torch.allclose(done.state["embedder.weight"], decayed, rtol=1e-5, atol=1e-8)


def test_statistics_of_frozen_batch_norms_stand_still_while_their_scale_is_trained(prepared, views):
    for frozen in (True, False):
        setup = prepared(TRIPLET, model={"freeze_batchnorm": frozen})
        start = {name: value.clone() for name, value in setup.model.state_dict().items()}
        state = trained(setup, views).state
        moved = {name for name in state if not torch.equal(state[name], start[name])}
        statistics = {name for name in state if "running_" in name}
        scales = {name.replace("running_mean", "weight") for name in statistics if "mean" in name}
        assert statistics and scales <= moved
        assert (statistics & moved) == (set() if frozen else statistics)


def test_the_pairs_of_the_miner_reach_the_loss(prepared, views):
    def miner(embeddings, labels):
        mined.append((len(embeddings), labels))
        return "pairs"

    mined = []
    loss = Loss(lambda embeddings: embeddings.pow(2).mean())
    trained(dataclasses.replace(prepared(TRIPLET), loss=loss, miner=miner), views)
    assert [call[2] for call in loss.calls] == ["pairs"] * 4
    assert [size for size, _ in mined] == [8] * 4
    for (_, labels), call in zip(mined, loss.calls, strict=True):
        assert torch.equal(labels, call[1])
        assert torch.bincount(labels).max() == 4 and len(labels.unique()) == 2


def test_a_loss_that_asks_for_it_gets_a_second_view_of_every_sample(prepared, views):
    crops = {"crop": {"scale": [0.2, 0.5]}}
    loss = TwoViews(lambda embeddings: embeddings.pow(2).mean())
    done = trained(dataclasses.replace(prepared(TRIPLET, transforms=crops), loss=loss), views)
    for embeddings, labels, _, reference, reference_labels in loss.calls:
        assert reference.shape == embeddings.shape and not torch.equal(reference, embeddings)
        assert reference.requires_grad and torch.equal(labels, reference_labels)
    assert done.images == 4 * 8
    assert trained(prepared({"name": "VICReg", "loss": "vicreg"}, transforms=crops), views).best["map_at_r"] > 0


class Grouped(Loss):
    info = ComponentInfo(needs=frozenset({"groups"}))

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None, groups=None):
        self.calls.append((labels, groups))
        return self.function(embeddings)


class Following:
    """A sampler that keeps what it was shown and draws the items that lie farthest out, in groups by rank."""

    def __init__(self, every=None):
        self.shown, self.drawn = [], []
        if every:
            self.refresh_every = every

    def refresh(self, embeddings, labels):
        self.shown.append((embeddings, labels))

    def batches(self, labels, seed):
        while True:
            far = np.argsort(-np.square(self.shown[-1][0]).sum(1))[:8]
            self.drawn.append((len(self.shown), far))
            yield GroupedBatch(far, np.arange(8) // 2 + 100)


def following(setup, views, sampler, loss):
    return dataclasses.replace(setup, loss=loss, sampler=sampler, batches=sampler.batches(views[0].labels, 0))


def test_a_sampler_that_wants_it_is_shown_all_training_items_at_the_start_of_every_epoch(prepared, tiny, views):
    setup = prepared(TRIPLET, training={"max_epochs": 3, "iterations_per_epoch": 2, "patience": 5})
    start = {name: value.clone() for name, value in setup.model.state_dict().items()}
    modes = []
    loss = Loss(lambda embeddings: modes.append(setup.model.training) or embeddings.pow(2).mean())
    trained(following(setup, views, sampler := Following(), loss), views)
    assert modes == [True] * 6  # looking at the items leaves the model in training mode
    assert [number for number, _ in sampler.drawn] == [1, 1, 2, 2, 3, 3]  # no batch is drawn ahead of a refresh
    model = model_of(request_of(tiny, TRIPLET), views[0])
    model.load_state_dict(start)
    first, labels = sampler.shown[0]
    model.eval()
    with torch.no_grad():
        expected = model(setup.eval_transform(views[0].images(range(len(views[0])))))
    np.testing.assert_allclose(first, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert first.dtype == np.float32 and np.array_equal(labels, views[0].labels)
    assert not np.allclose(first, sampler.shown[1][0])


def test_a_sampler_that_needs_them_is_given_the_superclasses_of_the_training_items(tiny, views):
    view = copy.copy(views[0])
    view.superclasses = view.labels % 3
    sampler = {"id": "mlbench/hierarchical", "version": 1, "arguments": {"samples_per_class": 2}}
    setup = setup_of(request_of(tiny, TRIPLET) | {"seed": 3, "sampler": sampler}, view, "cpu")
    for _ in range(5):
        assert len(np.unique(view.superclasses[next(setup.batches)])) == 2


def test_a_sampler_says_every_how_many_epochs_it_wants_that(prepared, views):
    setup = prepared(TRIPLET, training={"max_epochs": 5, "iterations_per_epoch": 1, "patience": 5})
    loss = Loss(lambda embeddings: embeddings.pow(2).mean())
    trained(following(setup, views, sampler := Following(every=2), loss), views)
    assert [number for number, _ in sampler.drawn] == [1, 1, 2, 2, 3]


def test_groups_of_the_batch_reach_a_loss_that_needs_them_and_are_the_classes_where_there_are_none(prepared, views):
    setup = prepared(TRIPLET, training={"max_epochs": 1})
    trained(following(setup, views, sampler := Following(), loss := Grouped(lambda e: e.pow(2).mean())), views)
    for (labels, groups), (_, indices) in zip(loss.calls, sampler.drawn, strict=True):
        assert labels.tolist() == views[0].labels[indices].tolist()
        assert groups.tolist() == [100, 100, 101, 101, 102, 102, 103, 103] and groups.dtype == torch.int64
    trained(dataclasses.replace(prepared(TRIPLET), loss=(plain := Grouped(lambda e: e.pow(2).mean()))), views)
    assert plain.calls and all(torch.equal(labels, groups) for labels, groups in plain.calls)
    # A loss that does not ask for them is called as ever.
    trained(following(prepared(TRIPLET), views, Following(), Loss(lambda e: e.pow(2).mean())), views)


def test_a_method_names_its_sampler_and_the_harness_the_size_of_a_batch(prepared):
    method = {**TRIPLET, "sampler": {"id": "m-per-class", "samples_per_class": 2}}
    batches = prepared(method).batches
    labels = np.concatenate([next(batches) for _ in range(3)])
    assert labels.shape == (24,)
    assert next(batches).tolist() != next(prepared(TRIPLET).batches).tolist()
    same_batches = prepared({**TRIPLET, "samples_per_class": 2}).batches
    assert [next(prepared(method).batches).tolist()] == [next(same_batches).tolist()]


def test_the_baseline_is_the_initial_model(prepared, views):
    setup = prepared("Untrained")
    start = {name: value.clone() for name, value in setup.model.state_dict().items()}
    done = trained(setup, views)
    assert same(done.state, start)
    assert [entry["epoch"] for entry in done.curve] == [0] and done.best == done.curve[0]
    assert done.images == 0


class Follows(Loss):
    """Keeps the epochs it was told of, and how many batches it had seen then."""

    def __init__(self, function):
        super().__init__(function)
        self.told = []

    def start_epoch(self, epoch):
        self.told.append((epoch, len(self.calls)))


def test_every_component_is_told_of_an_epoch_before_its_first_batch(prepared, views):
    loss = Follows(lambda embeddings: embeddings.pow(2).mean())
    loss.inner = Follows(None)
    sampler, miner = Follows(None), Follows(None)
    miner.forward = lambda embeddings, labels: None
    steps = {"iterations_per_epoch": 3, "max_epochs": 4, "evaluate_every": 2, "patience": 9}
    setup = dataclasses.replace(prepared(TRIPLET, training=steps), loss=loss, miner=miner, sampler=sampler)
    trained(setup, views)
    assert loss.told == [(0, 0), (1, 3), (2, 6), (3, 9)]
    for part in (miner, loss.inner, sampler):
        assert [epoch for epoch, _ in part.told] == [0, 1, 2, 3]


# -- early ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_training(prepared, views, value):
    calls = []
    loss = Loss(lambda embeddings: embeddings.sum() * (value if calls.append(0) or len(calls) == 3 else 0.0) + 1.0)
    with pytest.raises(Diverged, match=r"^the loss became (nan|inf|-inf) after 24 images$"):
        trained(dataclasses.replace(prepared(TRIPLET), loss=loss), views)


def test_embeddings_that_are_not_finite_end_the_training(prepared, views):
    loss = Loss(lambda embeddings: (0.0 * embeddings).sum().sqrt())  # finite, but its gradient is not
    setup = prepared(TRIPLET, training={"iterations_per_epoch": 1})
    with pytest.raises(Diverged, match=r"^embeddings are not finite at epoch 1$"):
        trained(dataclasses.replace(setup, loss=loss), views)
