"""Embeddings arranged so that one float32 matrix product gives comparable scores with a proven error bound.

Both distances become one *score*, larger is nearer, equal up to a constant and a power of two to
`-|a - b|^2 / 2` (for unit vectors: to the cosine). With `c` a common centre and `x' = x - c`,

    score(a, b) = a'.b' + w_a + w_b,   w_x = -|x'|^2 / 2,

which is the product of `[a', w_a, 1]` and `[b', 1, w_b]`. Centring changes no distance and keeps the rounding error
proportional to the spread of the data, not to its offset: embeddings of an untrained network, all close to one
direction, are ranked as reliably as well spread ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..precision import FLOAT32_ROUNDOFF

_PAD = 64
_NEVER = -1e30  # the score of padding rows: below every real score, finite so that no product becomes NaN
_LEAST_NORM = 1e-300  # so that a zero row stays one
_LEAST_RADIUS = 1e-15
_CHUNK = 1 << 16  # elements of float64 scratch: what a core's own cache holds


@dataclass(frozen=True)
class Points:
    """Rows of one side, in label order, padded to a multiple of 64 rows that are never near to anything.

    Attributes:
        left: `[P, D + 2]`, float32, rows `[x', w, 1]`.
        radius: `[P]`, float32, `sqrt(2 |w|)`; enters the error bound.
        source: `[N, D]`, the caller's embeddings, untouched.
        scale: `[N]`, float64, divisor that normalises each row of `source` (1 unless the distance is cosine).
        index: `[N]`, row of `source` at each sorted position.
        twin: `[N]`, original index of the first row that is equal to this one.
        depth: `[N]`, how many equal rows come before this one in the original order.
        cosine: whether the distance is cosine.
    """

    left: Tensor
    radius: Tensor
    source: Tensor
    scale: Tensor
    index: Tensor
    twin: Tensor
    depth: Tensor
    cosine: bool

    def right(self, rows: Tensor | slice) -> Tensor:
        """The right-hand factor `[n, D + 2]` of the given rows: `[x', 1, w]`."""
        right = self.left[rows].clone() if isinstance(rows, slice) else self.left.index_select(0, rows)
        right[:, -2:] = right[:, -2:].flip(1)
        return right


def error_factor(dimension: int) -> float:
    """`f` such that a score computed in float32 is within `f (r_a + r_b)^2` of the true one, in any order of summation.

    The product of `n = D + 2` terms is off by at most `n u sum|terms|` to first order (Higham, "Accuracy and
    Stability of Numerical Algorithms", section 3.1); eight more units cover the rounding of the factors. Of a
    product in float64 only these remain, as of one of no dimensions.
    """
    return (dimension + 10) * FLOAT32_ROUNDOFF / 2


def centre_and_scale(embeddings: Tensor, cosine: bool) -> tuple[Tensor, Tensor, float]:
    """The divisor `[N]` that normalises each row, the centre `[D]`, and a power of two that brings norms to about 1."""
    norm = torch.cat([part.double().norm(dim=1) for part in _parts(embeddings)])
    scale = norm.clamp_min(_LEAST_NORM) if cosine else torch.ones_like(norm)
    # Relative to the first row, so that rows that are all equal have a centre without any rounding error.
    first = embeddings[0].double() / scale[0]
    total = torch.zeros_like(first)
    for part, factor in zip(_parts(embeddings), scale.split(_rows(embeddings)), strict=True):
        total += (part.double() / factor[:, None] - first).sum(dim=0)
    largest = 1.0 if cosine else float(norm.max())
    unit = 2.0 ** -float(torch.tensor(largest or 1.0, dtype=torch.float64).log2().ceil())
    return scale, first + total / len(embeddings), unit


def make_points(embeddings: Tensor, index: Tensor, scale: Tensor, centre: Tensor, unit: float, cosine: bool) -> Points:
    """Arrange `embeddings` `[N, D]` in the order `index` `[N]`."""
    count, dimension = embeddings.shape
    padded = -(-count // _PAD) * _PAD
    left = torch.zeros((padded, dimension + 2), dtype=torch.float32, device=embeddings.device)
    left[:, -1] = 1
    left[count:, -2] = _NEVER
    done = 0
    for rows in index.split(_rows(embeddings)):
        x = embeddings.index_select(0, rows).double()
        empty = _empty(x, scale[rows]) if cosine else None
        x.div_(scale[rows, None]).sub_(centre).mul_(unit)
        half = x.square().sum(dim=1) / 2
        if empty is not None:
            # A zero row has no direction; its cosine with everything is 0, that of a vector at squared distance 2.
            half[empty] += 0.5
        left[done : done + len(rows), :-2] = x
        left[done : done + len(rows), -2] = -half
        done += len(rows)
    # From below, so that the error bound holds also where products underflow.
    radius = (-2 * left[:, -2]).sqrt().clamp_min(_LEAST_RADIUS)
    radius[count:] = 0
    twin, depth = _twins(embeddings)
    return Points(left, radius, embeddings, scale, index, twin[index], depth[index], cosine)


def _empty(rows: Tensor, scale: Tensor) -> Tensor:
    """Places of the zero rows."""
    candidates = (scale == _LEAST_NORM).nonzero().flatten()
    return candidates[~rows[candidates].any(dim=1)]


def _twins(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """For each row `[N]`, the first equal row, and the number of equal rows before it."""
    generator = torch.Generator().manual_seed(0)
    ray = torch.rand(embeddings.shape[1], dtype=torch.float64, generator=generator).to(embeddings.device)
    mark = torch.cat([(part.double() * ray).sum(dim=1) for part in _parts(embeddings)])
    mark, order = torch.sort(mark, stable=True)
    same = torch.zeros_like(order, dtype=torch.bool)
    near = (mark[1:] == mark[:-1]).nonzero().flatten()
    for pairs in near.split(_rows(embeddings)):
        same[pairs + 1] = (embeddings[order[pairs]] == embeddings[order[pairs + 1]]).all(dim=1)
    place = torch.arange(len(order), device=order.device)
    head = torch.where(same, 0, place).cummax(0).values
    twin, depth = torch.empty_like(order), torch.empty_like(order)
    twin[order], depth[order] = order[head], place - head
    return twin, depth


def close_scores(queries: Points, rows: Tensor, references: Points, columns: Tensor) -> Tensor:
    """Float64 scores `[H]` of pairs of sorted positions, from the factors: off by `error_factor(0)`, their rounding."""
    result = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
    size = _rows(queries.source)
    for out, row, column in zip(result.split(size), rows.split(size), columns.split(size), strict=True):
        left = queries.left.index_select(0, row).double()
        torch.sum(left.mul_(references.right(column).double()), dim=1, out=out)
    return result


def exact_scores(queries: Points, rows: Tensor, references: Points, columns: Tensor) -> Tensor:
    """Float64 scores `[H]` of pairs of sorted positions, from the caller's values.

    The sum over the dimensions runs in the same order for every pair, so equal rows give equal bits: ties are ties.
    """
    result = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
    size = _rows(queries.source)
    for out, row, column in zip(result.split(size), rows.split(size), columns.split(size), strict=True):
        i, j = queries.index[row], references.index[column]
        a, b = queries.source[i].double(), references.source[j].double()
        if queries.cosine:
            a, b = a / queries.scale[i, None], b / references.scale[j, None]
        # Differences also for the cosine: between rows that are almost parallel a product would lose all digits.
        out.copy_(-(a - b).square().sum(dim=1))
        if queries.cosine:
            out.masked_fill_(~(a.any(dim=1) & b.any(dim=1)), -2)
    return result


def _rows(embeddings: Tensor) -> int:
    return max(1, _CHUNK // embeddings.shape[1])


def _parts(embeddings: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(embeddings), _rows(embeddings)):
        yield embeddings[start : start + _rows(embeddings)]
