"""Every rule on every backend against brute force; `test_rules.py` runs it, for Triton in the interpreter."""

import torch
from brute import data, pairwise, pool_mask, ranked
from crowd import Crowd
from mlbench_kernels import mine
from mlbench_kernels.rules import Beyond, Extreme, Nearer, TopK

POOLS = ("positives", "negatives", "others")


def problems(shapes, distances=("euclidean", "squared-euclidean")):
    for distance in distances:
        for shape in shapes:
            x, labels = data(*shape, whole=True)
            yield distance, x, labels, x, labels, True
            yield distance, x, labels, *data(90, shape[1], 12, seed=1, whole=True), False


def check_rules(backend, shapes, counts=(3, 9), widths=(3, 20)):
    for distance, x, labels, y, reference_labels, square in problems(shapes):
        exact = pairwise(x, y, distance)
        rectangle = () if square else (y, reference_labels)

        def run(rule, arguments=(x, labels, *rectangle), distance=distance):
            return mine(rule, *arguments, distance=distance, backend=backend)

        for pool in POOLS:
            mask = pool_mask(labels, reference_labels, square, pool)
            for farthest in (False, True):
                assert torch.equal(run(Extreme(pool, farthest))[0], ranked(exact, mask, 1, farthest)[:, 0])
                for k in counts:
                    assert torch.equal(run(TopK(pool, k, farthest))[0], ranked(exact, mask, k, farthest))
                for width in widths:
                    limits = exact[:, torch.arange(width) % len(y)]
                    limits[:, 1] = torch.nan
                    found = run(Beyond(pool, limits, farthest))[0]
                    for limit, index in zip(limits.T, found.T, strict=True):
                        beyond = mask & ((exact < limit[:, None]) if farthest else (exact > limit[:, None]))
                        assert torch.equal(index, ranked(exact, beyond, 1, farthest)[:, 0])
            limits = exact[:, torch.arange(widths[0]) % len(y)]
            limits[:, 1] = torch.nan
            nearer = (exact[:, :, None] < limits[:, None]) & mask[:, :, None]
            assert torch.equal(run(Nearer(pool, limits))[0], nearer.sum(dim=1))
        mask = pool_mask(labels, reference_labels, square, "negatives")
        radius = exact.median(dim=1).values
        count, index = run(Crowd(radius))
        assert torch.equal(count, (mask & (exact < radius[:, None])).sum(dim=1))
        assert torch.equal(index, ranked(exact, mask, 1)[:, 0])
