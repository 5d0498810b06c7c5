"""Every pair loss on every backend against float64 autograd over a dense matrix; `test_losses.py` runs it."""

import itertools

import torch
from brute import data, pool_mask
from mlbench_kernels.losses import pair_loss
from mlbench_kernels.losses.totals import pair_total
from mlbench_kernels.rules import DistanceSum, Hinge, LogSumExp, Softplus, Triplets
from quartic import Quartic

INFINITE = float("inf")


def dense(x, y, distance):
    """Float64 distances that autograd can go through, also where they are 0."""
    if distance == "cosine":
        x, y = (part / part.norm(dim=1, keepdim=True).where((part != 0).any(1, keepdim=True), 1) for part in (x, y))
        return 1 - x @ y.T
    square = (x[:, None] - y[None]).square().sum(-1)
    if distance == "squared-euclidean":
        return square
    return torch.where(square > 0, square.where(square > 0, 1).sqrt(), 0)


def hinge(d, mask, t, pool):
    excess = d - 0.9 if pool == "positives" else 0.9 - d
    return (excess.relu() * mask).sum(1)


def log_sum_exp(scale):
    return lambda d, mask, t, pool: (scale * d).masked_fill(~mask, -INFINITE).logsumexp(1)


def softplus(d, mask, t, pool):
    return (torch.logaddexp(t + 3.0 * d, torch.zeros(()).to(d)) * mask).sum(1)


def distances(d, mask, t, pool):
    return (d * mask).sum(1)


def quartic(d, mask, t, pool):
    return ((1.1 - d).clamp_min(0) ** 4 * mask).sum(1)


def triplets(semi_hard):
    def total(d, mask, t, pool):
        gap = t[:, :, None] - d[:, None, :]  # [N, K, M]
        counts = mask[:, None] & (gap + 0.7 > 0) & ((gap < 0) if semi_hard else (gap > -INFINITE))
        return torch.where(counts, gap + 0.7, 0).sum((1, 2))

    return total


#: name: (rule for a pool and thresholds, pools, thresholds of an anchor, dense form)
LOSSES = {
    "hinge": (lambda pool, t: Hinge(pool, 0.9), ("positives", "negatives"), 0, hinge),
    "near": (lambda pool, t: LogSumExp(pool, -4.0), ("positives", "negatives", "others"), 0, log_sum_exp(-4.0)),
    "far": (lambda pool, t: LogSumExp(pool, 2.0), ("positives", "negatives", "others"), 0, log_sum_exp(2.0)),
    "softplus": (lambda pool, t: Softplus(pool, 3.0, thresholds=t), ("positives",), 1, softplus),
    "sum": (lambda pool, t: DistanceSum(pool), ("positives", "others"), 0, distances),
    "all": (lambda pool, t: Triplets(pool, 0.7, 0.0, thresholds=t), ("negatives",), 3, triplets(False)),
    "semi-hard": (lambda pool, t: Triplets(pool, 0.7, 1.0, thresholds=t), ("negatives",), 3, triplets(True)),
    "own": (lambda pool, t: Quartic(pool, 1.1), ("negatives",), 0, quartic),
}


def thresholds_for(width, count, generator):
    if not width:
        return None
    limits = torch.rand(count, width, generator=generator).double().sort(dim=1).values
    if width > 1:
        limits[::3, 0] = -INFINITE  # fewer positives
    return limits


#: Those whose derivatives depend on the distance of a pair and nothing else: summed over the anchors in one pass.
SUMMED = ("hinge", "softplus", "sum", "all", "semi-hard", "own")


def found_and_expected(name, pool, distance, problem, backend, summed=False):
    """Value and derivatives by anchors, references and thresholds, of the backend and of autograd."""
    make, _, width, formula = LOSSES[name]
    x, labels, *rest = problem
    generator = torch.Generator().manual_seed(5)
    limits = thresholds_for(width, len(x), generator)
    upstream = torch.full((len(x),), -0.7) if summed else torch.randn(len(x), generator=generator)
    results = []
    for exact in (False, True):
        dtype = torch.float64 if exact else x.dtype
        leaves = [part.detach().to(dtype).requires_grad_() for part in (x, *rest[:1])]
        t = None if limits is None else limits.to(dtype).requires_grad_()
        if exact:
            y = leaves[-1]
            mask = pool_mask(labels, rest[1] if rest else labels, not rest, pool)
            value = formula(dense(leaves[0], y, distance), mask, t, pool)
        else:
            value, *_ = (pair_total if summed else pair_loss)(
                make(pool, t), leaves[0], labels, *leaves[1:], *rest[1:], distance=distance, backend=backend
            )
            value = value.sum(dim=1) if value.ndim == 2 else value
        total = value * upstream[0] if value.ndim == 0 else (value.where(value > -INFINITE, 0) * upstream).sum()
        value = value.sum() if summed else value
        wanted = leaves + ([] if t is None else [t])
        results.append((value, *torch.autograd.grad(total, wanted)))
    return results


def check(name, pool, distance, problem, backend, tolerance, summed=False):
    found, expected = found_and_expected(name, pool, distance, problem, backend, summed)
    for one, other in zip(found, expected, strict=True):
        # Relative to the largest, because a derivative is a sum in which larger numbers cancel.
        largest = float(other.detach().masked_fill(other.isinf(), 0).abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance * max(1.0, largest))


def check_losses(backend, shape, tolerance, dtype=torch.float32, forms=(True, False)):
    """All losses, pools, distances and forms on random rows of length about 1."""
    count, dimension, classes = shape
    x, labels = data(count, dimension, classes)
    y, reference_labels = data(37, dimension, classes + 1, seed=1)
    scale = dimension**-0.5
    for distance, square, name in itertools.product(("euclidean", "squared-euclidean", "cosine"), forms, LOSSES):
        problem = [x.to(dtype) * scale, labels] + ([] if square else [y.to(dtype) * scale, reference_labels])
        for pool in LOSSES[name][1]:
            check(name, pool, distance, problem, backend, tolerance)
            if name in SUMMED:
                check(name, pool, distance, problem, backend, tolerance, summed=True)
