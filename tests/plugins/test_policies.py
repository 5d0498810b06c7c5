"""The policy miner against a plain loop in float64, and as a stranger's plugin: found, configured and checked."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mlbench_policies import PolicyMiner, PolicySchedule

from mlbench.api import Collapsed, ConfigError
from mlbench.registry import find, resolve
from mlbench.testing import check_component

POLICIES = list(itertools.product(("easy", "hard"), ("semi-hard", "hard")))


def reference(embeddings, labels, others, other_labels, positive, negative, margin, within):
    """The definitions of the README, read aloud."""
    left, right = (
        array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)
        for array in (np.asarray(embeddings, np.float64), np.asarray(others, np.float64))
    )
    triplets = []
    for a in range(len(left)):
        d = [float(np.sum((left[a] - right[j]) ** 2)) for j in range(len(right))]
        same = [j for j in range(len(right)) if other_labels[j] == labels[a] and not (within and j == a)]
        different = [j for j in range(len(right)) if other_labels[j] != labels[a]]
        if not same or not different:
            continue
        p = min(same, key=lambda j: (d[j] if positive == "easy" else -d[j], j))
        if negative == "hard":
            fitting = [j for j in different if d[j] < d[p]]
        else:
            fitting = [j for j in different if d[p] < d[j] < d[p] + margin]
        n = min(fitting or different, key=lambda j: (d[j], j))
        triplets.append((a, p, n))
    return triplets


def batch(seed, size=40, classes=6, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (size,), generator=generator)
    centres = torch.randn(classes, 8, generator=generator, dtype=torch.float64)
    return centres[labels] + spread * torch.randn(size, 8, generator=generator, dtype=torch.float64), labels


@pytest.mark.parametrize(("positive", "negative"), POLICIES)
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_agrees_with_the_definitions(positive, negative, spread):
    for seed, margin in itertools.product(range(3), (0.05, 0.5)):
        embeddings, labels = batch(seed, spread=spread)
        mined = PolicyMiner(positive, negative, margin)(embeddings, labels)
        expected = reference(embeddings, labels, embeddings, labels, positive, negative, margin, within=True)
        assert list(zip(*(indices.tolist() for indices in mined), strict=True)) == expected


@pytest.mark.parametrize(("positive", "negative"), POLICIES)
def test_agrees_with_the_definitions_against_references(positive, negative):
    (embeddings, labels), (others, other_labels) = batch(0), batch(1, size=25)
    mined = PolicyMiner(positive, negative, 0.3)(embeddings, labels, others, other_labels)
    expected = reference(embeddings, labels, others, other_labels, positive, negative, 0.3, within=False)
    assert list(zip(*(indices.tolist() for indices in mined), strict=True)) == expected


def test_without_a_fitting_negative_the_nearest_is_taken():
    # d_ap = 2 for the first anchor; both negatives are nearer, so none is semi-hard.
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.5], [1.0, 0.1]])
    labels = torch.tensor([0, 0, 1, 2])
    anchors, positives, negatives = PolicyMiner("hard", "semi-hard", 0.5)(embeddings, labels)
    assert (anchors[0], positives[0], negatives[0]) == (0, 1, 3)


def test_copies_of_the_anchor_are_positives_and_ties_go_to_the_lowest_index():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1, 0, 0, 1])
    mined = PolicyMiner("easy", "hard")(embeddings, labels)
    assert [indices.tolist() for indices in mined] == [[0, 1, 2, 3, 4], [2, 4, 0, 0, 1], [1, 0, 1, 1, 0]]


@pytest.mark.parametrize("labels", [[3, 3, 3], [0, 1, 2]])
def test_no_positive_or_no_negative_gives_an_empty_result(labels):
    mined = PolicyMiner()(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor(labels))
    assert [len(indices) for indices in mined] == [0, 0, 0]


def test_scale_and_precision_of_the_embeddings_do_not_matter():
    embeddings, labels = batch(3)
    miner = PolicyMiner("hard", "semi-hard")
    expected = miner(embeddings, labels)
    scaled = miner(embeddings * torch.rand(40, 1, dtype=torch.float64).add(0.5), labels)
    assert all(torch.equal(first, second) for first, second in zip(scaled, expected, strict=True))
    assert all(indices.dtype == torch.int64 for indices in miner(embeddings.half(), labels))


@pytest.mark.parametrize(("positive", "negative"), POLICIES)
def test_conforms(positive, negative):
    arguments = {"positive": positive, "negative": negative, "margin": 0.2}
    check_component("miners", "mlbench-policies/policy", arguments, raise_on_failure=True)


def test_is_found_under_its_own_name_and_configured_strictly():
    assert find("miners", "policy").id == "mlbench-policies/policy"
    with pytest.raises(ConfigError, match=r"methods\[0\].miner.negative: .*got str 'semihard'"):
        resolve("miners", {"id": "policy", "negative": "semihard"}, "methods[0].miner")
    with pytest.raises(ConfigError, match=r"methods\[0\].miner: .*margin must be above 0"):
        resolve("miners", {"id": "policy", "margin": 0.0}, "methods[0].miner").build()


def test_half_a_reference_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        PolicyMiner()(torch.zeros(2, 2), torch.tensor([0, 1]), ref_emb=torch.zeros(2, 2))


# -- schedule --------------------------------------------------------------------------------------------------------

STAGES = [[0, "easy", "semi-hard"], [10, "easy", "hard"], [25, "hard", "hard"]]


def schedule(**change):
    return resolve("miners", {"id": "schedule", "stages": STAGES, **change}, "methods[0].miner")


def test_a_schedule_mines_as_the_policies_of_the_epoch():
    embeddings, labels = batch(5, spread=2.0)
    miner, stage = schedule().build(), 0
    for epoch in [*range(35), 9, 10, 0]:  # told again, in whatever order
        miner.start_epoch(epoch)
        stage = 0 if epoch <= 9 else 1 if epoch <= 24 else 2
        expected = PolicyMiner(*STAGES[stage][1:])(embeddings, labels)
        assert all(map(torch.equal, miner(embeddings, labels), expected))


def test_a_schedule_begins_with_its_first_stage():
    embeddings, labels = batch(5, spread=2.0)
    assert all(map(torch.equal, schedule().build()(embeddings, labels), PolicyMiner()(embeddings, labels)))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], r"start at epoch 0.*got \[\]"),
        ([[1, "easy", "hard"]], r"start at epoch 0.*got \[1\]"),
        ([[0, "easy", "hard"], [5, "hard", "hard"], [5, "easy", "hard"]], r"ever later ones, got \[0, 5, 5\]"),
        ([[0, "easy", "semihard"]], r"methods\[0\].miner.stages: "),
        ([[0, "easy"]], r"methods\[0\].miner.stages: "),
        ([[0.5, "easy", "hard"]], r"methods\[0\].miner.stages: "),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(stages, message):
    with pytest.raises(ConfigError, match=message):
        schedule(stages=stages).build()
    with pytest.raises(ValueError, match="semi-hard or hard, got 'easy' and 'semihard'"):
        PolicySchedule(stages=[(0, "easy", "semihard")])


# -- collapse --------------------------------------------------------------------------------------------------------


def nearly_equal(width):
    """Unit vectors whose largest squared distance is just about ``width``."""
    angle = 2 * math.asin(math.sqrt(width) / 2)
    turns = torch.linspace(0, angle, 8, dtype=torch.float64)
    return torch.stack([turns.cos(), turns.sin()], 1)


def test_equal_embeddings_for_long_enough_end_the_training():
    labels = torch.arange(8) // 2
    miner = PolicyMiner(margin=0.5, collapse_patience=3)
    collapsed, alive = nearly_equal(0.00049), nearly_equal(0.00051)
    for embeddings in (collapsed, collapsed, alive, collapsed, collapsed):
        miner(embeddings, labels)
    with pytest.raises(Collapsed, match=r"for 3 batches in a row no squared distance was above 0\.0005"):
        miner(collapsed, labels)


def test_a_batch_of_one_says_nothing_about_collapse():
    miner = PolicyMiner(collapse_patience=1)
    assert [len(index) for index in miner(torch.ones(1, 2), torch.tensor([0]))] == [0, 0, 0]
    with pytest.raises(ConfigError, match="collapse_patience must be 1 or more batches, got 0"):
        resolve("miners", {"id": "policy", "collapse_patience": 0}, "methods[0].miner").build()


def test_a_collapsed_run_says_so_wherever_one_looks(mlbench, benchmark_file, tmp_path):
    """Weight decay beyond reason makes all embeddings the bias of the embedder."""
    method = {
        "name": "Easy",
        "loss": {"id": "triplet-margin", "margin": 0.5, "distance": {"id": "lp", "power": 2}},
        "miner": {"id": "mlbench-policies/policy", "margin": 0.5, "collapse_patience": 4},
    }
    optimizer = {"name": "SGD", "lr": 0.1, "weight_decay": 9.0, "momentum": 0.0}
    training = {"iterations_per_epoch": 40, "max_epochs": 1, "optimizer": optimizer}
    file, store = benchmark_file(method, "Untrained", training=training, reproductions=1), tmp_path / "store"
    code, out, err = mlbench("run", file, "--store", store)
    assert code == 2 and "failed: Easy/reproduction-0/fold-0: collapsed: all embeddings are equal" in err
    code, out, _ = mlbench("status", file, "--store", store)
    assert "Easy 3 0 3 0 2 collapsed, 1 impossible".split() in [line.split() for line in out.splitlines()]
    code, out, _ = mlbench("status", file, "--store", store, "--json")
    assert json.loads(out)["methods"][0]["reasons"] == {"collapsed": 2, "impossible": 1}
    assert "| 2 collapsed" in (store / "leaderboard.md").read_text(encoding="utf-8")
    records = [json.loads(path.read_text()) for path in store.glob("runs/*/record.json")]
    assert sorted(record["outcome"] for record in records) == ["collapsed"] * 2 + ["completed"] * 3


# -- benchmark -------------------------------------------------------------------------------------------------------


def test_its_benchmark_runs(tmp_path, smallest):
    from mlbench import run

    file = Path(__file__).parents[2] / "plugins/mlbench-policies/policies.toml"
    result = run(file, overrides=smallest, store=tmp_path / "store")
    assert result.summary.failed == {} and len(result.leaderboard) == 6
