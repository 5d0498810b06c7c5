"""Retrieval ranks by counting, for each positive, the negatives that are nearer: a rule of the streaming engine.

    rank of the k-th nearest positive = k + #{negatives ahead of it}

Two counts per positive, of what is nearer by more than the rounding error and of what may be nearer, agree almost
always; where they do not and the rank matters, the few negatives between are placed by exact distances. So the ranks
are those of float64, whatever the precision of the products. There is no top-k: any K and any class size are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..engine import Problem, run_rule
from ..engine.pairs import positive_pairs
from ..precision import FLOAT32_ROUNDOFF, ieee_float32, relative_error
from ..rules.nearer import Nearer
from .points import Points, centre_and_scale, exact_scores, make_points

_WIDTH = 16  # positives of a query in one pass: their thresholds stay in registers
_ELEMENTS = 1 << 22  # of a block of distances to settle what is too close to call


def counted_ranks(
    queries: Tensor,
    query_labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    largest_k: int,
    cosine: bool,
    all_ranks: bool,
    backend: str,
    mode: str,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Ranks of all positives by the engine's `backend`; yields one group, in the form of `blocked_ranks`."""
    gallery, labels = (queries, query_labels) if references is None else (references, reference_labels)
    assert labels is not None
    square = references is None
    scale, centre, unit = centre_and_scale(gallery, cosine)
    query_scale, _, query_unit = (scale, centre, unit) if square else centre_and_scale(queries, cosine)
    unit = min(unit, query_unit)  # no norm on either side is larger than about 1 then
    right = make_points(gallery, torch.arange(len(gallery), device=gallery.device), scale, centre, unit, cosine)
    rows = torch.arange(len(queries), device=queries.device)
    left = right if square else make_points(queries, rows, query_scale, centre, unit, cosine)
    problem = Problem(_rows(left, cosine), query_labels, _rows(right, cosine), labels, square, "squared-euclidean")
    entries = _Entries.of(problem, left, right, unit)
    relevant = torch.bincount(entries.query, minlength=len(queries))
    error = _error(left, right, mode, cosine)[entries.query]
    ahead, most = _count(problem, entries, error, relevant, backend, mode)
    # Beyond rank R only the nearest positive matters, and only up to the largest K of Recall@K, unless all do.
    far = (entries.k == 1) | all_ranks
    cap = torch.where(far, relevant.clamp_min(largest_k)[entries.query], relevant[entries.query])
    unsure = ((ahead < most) & (entries.k + ahead <= cap)).nonzero().flatten()
    ahead[unsure] = _settle(problem, entries.take(unsure), error[unsure], left, right)
    rank = torch.where(entries.k + ahead <= cap, entries.k + ahead, cap + 1)
    yield torch.arange(len(queries), device=rank.device), relevant, entries.query, entries.k, rank


@dataclass(frozen=True)
class _Entries:
    """Pairs of a query and a positive, by query, nearest first, equally near by index.

    Attributes:
        query: `[P]`, int64.
        positive: `[P]`, int64.
        k: `[P]`, number of the positive among those of its query, from 1.
        score: `[P]`, float64, exact; larger is nearer.
        distance: `[P]`, float64, squared, in the unit of the problem.
    """

    query: Tensor
    positive: Tensor
    k: Tensor
    score: Tensor
    distance: Tensor

    @classmethod
    def of(cls, problem: Problem, left: Points, right: Points, unit: float) -> _Entries:
        """All entries of a problem."""
        query, positive, _ = positive_pairs(problem)
        score = exact_scores(left, query, right, positive)
        order = positive.argsort(stable=True)
        order = order[score[order].argsort(stable=True, descending=True)]
        order = order[query[order].argsort(stable=True)]
        query = query[order]
        count = torch.bincount(query, minlength=len(problem.anchors))
        k = torch.arange(1, len(query) + 1, device=query.device) - (count.cumsum(0) - count)[query]
        score = score[order]
        return cls(query, positive[order], k, score, -score * unit**2)

    def take(self, index: Tensor) -> _Entries:
        """The entries `index`."""
        return _Entries(self.query[index], self.positive[index], self.k[index], self.score[index], self.distance[index])


def _rows(points: Points, cosine: bool) -> Tensor:
    """Rows whose squared distances are those of the points; a zero row has cosine 0 with all others: distance 2."""
    rows = points.left[: len(points.index), :-2]
    if not cosine:
        return rows
    return torch.cat((rows, (~points.source.any(dim=1, keepdim=True)).to(rows.dtype)), dim=1)


def _error(left: Points, right: Points, mode: str, cosine: bool) -> Tensor:
    """How far a computed squared distance of each query may be from the true one, `[N]`."""
    reach = (left.radius[: len(left.index)] + right.radius.max()).double()
    # The rows themselves are rounded to float32 too, once when they are centred and once when they are scaled.
    share = relative_error(mode, left.left.shape[1]) + 16 * FLOAT32_ROUNDOFF
    error: Tensor = share * reach.square()
    if not cosine:
        return error
    # Also with another zero row a zero row has cosine 0, though their difference is 0.
    return error.masked_fill_(~left.source.any(dim=1), torch.inf)


def _count(
    problem: Problem, entries: _Entries, error: Tensor, relevant: Tensor, backend: str, mode: str
) -> tuple[Tensor, Tensor]:
    """Negatives that are certainly, and that are possibly ahead of each entry, `[P]` each."""
    least, most = torch.zeros_like(entries.k), torch.zeros_like(entries.k)
    for start in range(0, int(relevant.max()), _WIDTH):
        rows = (relevant > start).nonzero().flatten()
        width = min(_WIDTH, int(relevant.max()) - start)
        place = torch.full_like(relevant, -1).index_put_((rows,), torch.arange(len(rows), device=rows.device))
        now = ((entries.k > start) & (entries.k <= start + width)).nonzero().flatten()
        cell = place[entries.query[now]], entries.k[now] - 1 - start
        limits = entries.distance.new_full((2, len(rows), width), torch.nan)
        limits[0][cell] = entries.distance[now] - error[now]
        limits[1][cell] = entries.distance[now] + error[now]
        part = Problem(
            problem.anchors[rows], problem.labels[rows], problem.references, problem.reference_labels, False,
            problem.distance,
        )  # fmt: skip
        (count,) = run_rule(Nearer("negatives", torch.cat(tuple(limits), dim=1)), part, backend, mode)
        least[now], most[now] = count[:, :width][cell], count[:, width:][cell]
    return least, most


def _settle(problem: Problem, entries: _Entries, error: Tensor, left: Points, right: Points) -> Tensor:
    """Negatives ahead of each entry, those that are as near but for the error by exact scores, `[P]`.

    All are counted anew: this product rounds in another way than the engine's, so its band holds other negatives.
    """
    x, y, a, b = problem.factors(torch.float32)
    ahead = torch.zeros_like(entries.k)
    size = max(1, _ELEMENTS // len(y))
    for start in range(0, len(entries.k), size):
        part = slice(start, start + size)
        rows = entries.query[part]
        with ieee_float32():
            distance = (a[rows, None] + b).addmm_(x[rows], y.T)
        distance.masked_fill_(problem.labels[rows, None] == problem.reference_labels, torch.inf)
        low, high = (entries.distance[part] + side * error[part] for side in (-1, 1))
        sure = distance < low[:, None]
        entry, negative = ((distance <= high[:, None]) & ~sure & (distance < torch.inf)).nonzero().unbind(dim=1)
        positive = entries.positive[part][entry]
        earlier = negative < positive
        before = earlier.clone()
        # Equal references have equal scores; only the others need to be looked at.
        other = (right.twin[negative] != right.twin[positive]).nonzero().flatten()
        theirs = exact_scores(left, rows[entry[other]], right, negative[other])
        mine = entries.score[part][entry[other]]
        before[other] = (theirs > mine) | ((theirs == mine) & earlier[other])
        ahead[part] = sure.sum(dim=1) + torch.bincount(entry[before], minlength=len(rows))
    return ahead
