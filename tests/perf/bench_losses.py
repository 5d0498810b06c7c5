"""Losses, forward and backward, beside pytorch-metric-learning's and the published sort-and-search method.

Run by hand, on an idle machine:

    OMP_NUM_THREADS=1 pytest tests/perf/bench_losses.py -s

Nothing asserts a time; that all contestants find the same loss is asserted.
"""

import os
import sys

import pytest

from mlbench.perf import as_table, measured, report, take_turns

sys.path.insert(0, os.path.dirname(__file__))
from peers import SEMI_HARD, installed

# name: (loss, rows, rows per class)
PROBLEMS = {
    "FaceNet's semi-hard, N=1,024": ("facenet", 1024, 4),
    "semi-hard triplets, N=1,024": ("semi-hard", 1024, 4),
    "semi-hard triplets, N=2,048, 32 per class": ("semi-hard", 2048, 32),
    "contrastive, N=4,096": ("contrastive", 4096, 4),
    "multi-similarity, N=4,096": ("multi-similarity", 4096, 4),
    "SupCon, N=4,096": ("sup-con", 4096, 4),
    # Theirs need more than 20 GiB for these two at this size.
    "NT-Xent, N=4,096": ("nt-xent", 4096, 4),
    "lifted structured, N=4,096": ("lifted", 4096, 4),
}
ROUNDS = int(os.environ.get("MLBENCH_BENCH_ROUNDS", "3"))
MARGIN = 0.2
OTHER_VALUES = ("pytorch-metric-learning, all within the margin", "one matrix product")
NAMES = {
    "contrastive": "ContrastiveLoss",
    "multi-similarity": "MultiSimilarityLoss",
    "sup-con": "SupConLoss",
    "nt-xent": "NTXentLoss",
    "lifted": "LiftedStructureLoss",
}


def make(rows, per_class):
    """Unit vectors in loose clusters, 128 dimensions."""
    import torch

    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(rows) // per_class
    embeddings = torch.randn(rows // per_class, 128, generator=generator)[labels]
    embeddings += 2 * torch.randn(rows, 128, generator=generator)
    return torch.nn.functional.normalize(embeddings).requires_grad_(), labels


def ours(loss):
    from mlbench_kernels import losses

    if loss == "semi-hard":
        return losses.TripletMarginLoss(margin=MARGIN, kind="semi-hard")
    return getattr(losses, NAMES[loss])()


def theirs(loss):
    from pytorch_metric_learning import losses, miners

    if loss != "semi-hard":
        return getattr(losses, NAMES[loss])()
    miner = miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard")
    function = losses.TripletMarginLoss(margin=MARGIN)
    return lambda embeddings, labels: function(embeddings, labels, miner(embeddings, labels))


def searching(loss):
    """All semi-hard triplets in O(N^2 log N): every anchor's negatives sorted, its positives searched among them."""
    import torch

    assert loss == "semi-hard"

    def call(embeddings, labels):
        distance = torch.cdist(embeddings, embeddings)
        same = labels[:, None] == labels
        negatives = distance.masked_fill(same, torch.inf).sort(dim=1).values
        sums = torch.nn.functional.pad(negatives.where(negatives < torch.inf, 0).cumsum(dim=1), (1, 0))
        # One class is as large as another, so that positives fill a matrix.
        near = distance[same.clone().fill_diagonal_(False)].view(len(labels), -1)
        first = torch.searchsorted(negatives.detach(), near.detach(), right=True)
        last = torch.searchsorted(negatives.detach(), near.detach() + MARGIN)
        count = last - first
        total = count * (near + MARGIN) - (sums.gather(1, last) - sums.gather(1, first))
        return total.sum() / count.sum()

    return call


CONTESTANTS = {"mlbench_kernels": ours, "pytorch-metric-learning": theirs, "sort and search, dense": searching}


def contestants_of(problem):
    loss = PROBLEMS[problem][0]
    if loss == "facenet":
        return installed(SEMI_HARD)
    if loss in ("nt-xent", "lifted"):
        return ["mlbench_kernels"]
    return list(CONTESTANTS)[: 3 if loss == "semi-hard" else 2]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_losses(problem, figures):
    found = take_turns({name: [__file__, name, problem] for name in contestants_of(problem)}, ROUNDS)
    figures(f"Loss and gradient, {problem}", as_table({problem: found}), found)
    values = [runs[0].value for name, runs in found.items() if name not in OTHER_VALUES]
    assert all(value == pytest.approx(values[0], rel=1e-4) for value in values)


if __name__ == "__main__":
    contestant, problem = sys.argv[1:]
    loss, rows, per_class = PROBLEMS[problem]
    function = SEMI_HARD[contestant]() if loss == "facenet" else CONTESTANTS[contestant](loss)

    def step(embeddings, labels):
        value = function(embeddings, labels)
        value.backward()
        return value.item()

    step(*make(64, 4))  # loads and warms up everything
    inputs = make(rows, per_class)
    report(measured(lambda: step(*inputs)))
