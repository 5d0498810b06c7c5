"""What every rank does in the tests of distributed training, in this process and as a module of its own in another."""

import sys

import pytest
import torch
from pytorch_metric_learning import losses, miners
from torch import nn

from mlbench.api import ConfigError
from mlbench.execution.launch import joined, meeting

CLASSES, WIDTH, BATCH = 6, 5, 24

CASES = {
    "triplet": lambda: (losses.TripletMarginLoss(0.2), miners.TripletMarginMiner(0.2, "semihard")),
    "multi-similarity": lambda: (losses.MultiSimilarityLoss(), miners.MultiSimilarityMiner()),
    "contrastive": lambda: (losses.ContrastiveLoss(), None),
    "normalised softmax": lambda: (losses.NormalizedSoftmaxLoss(CLASSES, WIDTH), None),
    "batch norm": lambda: (losses.ContrastiveLoss(), None),
    "two views": lambda: (losses.SelfSupervisedLoss(losses.NTXentLoss()), None),
}


def model_of(case):
    if case != "batch norm":
        return nn.Sequential(nn.Linear(7, 16), nn.Tanh(), nn.Linear(16, WIDTH))
    images = nn.Unflatten(1, (4, 2, 2)), nn.BatchNorm2d(4), nn.Flatten()
    norm = nn.BatchNorm1d(WIDTH, affine=False, momentum=None)
    return nn.Sequential(nn.Linear(7, 16), *images, nn.Tanh(), nn.Linear(16, WIDTH, bias=False), norm)


def follow(case, ranks):
    """Three steps in float64: losses, gradients of the first one, and the weights and buffers after the last."""
    torch.manual_seed(0)
    model = model_of(case)
    loss, miner = CASES[case]()
    model, loss = model.double(), loss.double()
    both = nn.ModuleDict({"model": model, "loss": loss})
    optimizer = torch.optim.RMSprop(both.parameters(), lr=0.01)
    embed = ranks.embedder(model)
    # Classes in runs, as the sampler puts them: a rank's part alone has few of them.
    labels, mine = torch.arange(CLASSES).repeat_interleave(BATCH // CLASSES), slice_of(ranks)
    found = {}
    for step in range(3):
        images, others = torch.randn(2, BATCH, 7, dtype=torch.float64)
        embeddings, gathered = embed(images[mine]), ranks.gather(labels[mine])
        if case == "two views":
            value = loss(embeddings, embed(others[mine]))
        else:
            value = loss(embeddings, gathered, miner(embeddings, gathered) if miner else None)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        ranks.align(loss)
        found[f"loss {step}"] = value.detach()
        if step == 0:
            found |= {f"gradient of {name}": p.grad.clone() for name, p in both.named_parameters()}
        optimizer.step()
    found |= {f"weight {name}": value for name, value in both.state_dict().items()}
    model.eval()
    found["embeddings of rank 0 alone"] = ranks.first(lambda: model(images).detach())
    return found


def slice_of(ranks):
    share = BATCH // ranks.world_size
    return slice(ranks.rank * share, (ranks.rank + 1) * share)


class OwnBatchNorm(nn.BatchNorm1d):
    """One of a library, which may do more than torch's."""


def refusals(ranks):
    """What ranks cannot do as one process would is refused, on every rank."""
    with pytest.raises(ConfigError, match=r"1 is a OwnBatchNorm.*freeze_batchnorm = true"):
        ranks.embedder(nn.Sequential(nn.Linear(7, 5), OwnBatchNorm(5)))
    ranks.embedder(nn.Sequential(nn.Linear(7, 5), OwnBatchNorm(5).eval()))
    with pytest.raises(ConfigError, match=r"draws random numbers.*dropout"):
        ranks.embedder(nn.Sequential(nn.Linear(7, 5), nn.Dropout()))(torch.randn(2, 7))


def differences(ranks, tensors):
    """The largest difference of each between any two ranks."""
    return {name: (ranks.gather(tensor[None]) - tensor).abs().max().item() for name, tensor in tensors.items()}


def as_rank(ranks):
    """Everything, in the same order on every rank."""
    found = {case: follow(case, ranks) for case in CASES}
    apart = {case: differences(ranks, tensors) for case, tensors in found.items()}
    refusals(ranks)
    assert ranks.first(lambda: f"said by rank {ranks.rank}") == "said by rank 0"
    return found, apart


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined(meeting(2, int(sys.argv[1])), 1, 2, "cpu") as ranks:
        as_rank(ranks)
