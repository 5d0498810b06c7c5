"""Anchors against references, arranged for the tile loops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..labels import LabelOrder

DISTANCES = ("cosine", "euclidean", "squared-euclidean")

# Of a block of rows in float64: on a CPU a MiB, which stays in its cache and in the allocator's hands; elsewhere
# every block costs a dozen launches.
_EXACT_ELEMENTS_CPU, _EXACT_ELEMENTS = 1 << 18, 1 << 22
_WIDE = 1 << 20  # elements of both sides up to which these are kept in float64, 8 MiB; else rows are widened as needed


@dataclass(frozen=True)
class Problem:
    """What an engine streams over.

    Attributes:
        anchors: `[N, D]`, as the caller gave them.
        labels: `[N]`, int64.
        references: `[M, D]`; the anchors themselves in the square form.
        reference_labels: `[M]`, int64.
        square: whether anchor i is reference i and must not meet itself.
        distance: one of `DISTANCES`.
    """

    anchors: Tensor
    labels: Tensor
    references: Tensor
    reference_labels: Tensor
    square: bool
    distance: str

    @cached_property
    def dtype(self) -> torch.dtype:
        """What distances are reported in, and computed in by the blocked engine."""
        return torch.promote_types(self.anchors.dtype, torch.float32)

    @property
    def factor(self) -> float:
        """What the rows of anchors are multiplied by in `factors`."""
        return -1.0 if self.distance == "cosine" else -2.0

    @cached_property
    def reference_order(self) -> LabelOrder:
        """The references by label."""
        return LabelOrder.of(self.reference_labels)

    @cached_property
    def positive_spans(self) -> tuple[Tensor, Tensor]:
        """Where the references of each anchor's label lie in `reference_order`: first position and number, `[N]`."""
        return self.reference_order.spans(self.labels)

    @cached_property
    def most_positives(self) -> int:
        """The largest number of references that carry the label of one anchor."""
        return int(self.positive_spans[1].max())

    @cached_property
    def _factors(self) -> dict[torch.dtype, tuple[Tensor, Tensor, Tensor, Tensor]]:
        return {}

    def factors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`(x [N, D], y [M, D], a [N], b [M])` such that the order `a + b + x.y` grows with the distance; kept."""
        if dtype not in self._factors:
            self._factors[dtype] = self._make_factors(dtype)
        return self._factors[dtype]

    def _make_factors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The order is `|anchor - reference|^2`, or minus the cosine.

        The rows are moved towards 0 first: that changes no Euclidean distance, and keeps the rounding error
        proportional to the spread of the data instead of its offset.

        Raises:
            ValueError: squares of the rows overflow `dtype`.
        """
        x, y = self.anchors.to(dtype), self.references.to(dtype)
        if self.distance == "cosine":
            y = _normalized(y)
            x = self.factor * (y if self.square else _normalized(x))
            return x, y, x.new_zeros(len(x)), y.new_zeros(len(y))
        mean = y.mean(dim=0)
        # A multiple of a power of two near the spread is as good as the mean, and leaves whole numbers whole: equal
        # distances between them stay exactly equal.
        step = torch.ldexp(torch.ones_like(mean[0]), torch.frexp((y - mean).abs().amax()).exponent)
        centre = (mean / step).round() * step
        y = y - centre
        x = y if self.square else x - centre
        b = y.square().sum(dim=1)
        a = b if self.square else x.square().sum(dim=1)
        _check_range(a, b)
        return self.factor * x, y, a, b

    def to_order(self, distance: Tensor) -> Tensor:
        """The order at which a pair has this distance; increasing."""
        if self.distance == "cosine":
            return distance - 1
        return distance.square().copysign(distance) if self.distance == "euclidean" else distance

    def from_order(self, order: Tensor) -> Tensor:
        """The distance of a pair with this order; rounding below zero becomes zero."""
        return self.from_order_(order.clone())

    def from_order_(self, order: Tensor) -> Tensor:
        """`from_order` in place."""
        if self.distance == "cosine":
            return order.add_(1)
        return order.clamp_min_(0).sqrt_() if self.distance == "euclidean" else order.clamp_min_(0)

    def distances(self, index: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Distances `[N]` or `[N, K]` of each anchor to the references `index`, from differences in float64.

        NaN for the index -1.
        """
        size = max(1, self._exact_rows // max(1, index[0].numel()))
        whole = index.reshape(len(index), -1)
        parts = (slice(i, i + size) for i in range(0, len(index), size))
        found = [self._exact(part, whole[part]).to(dtype or self.dtype) for part in parts]
        return torch.cat(found).view(index.shape).masked_fill_(index < 0, torch.nan)

    def pair_distances(self, anchor: Tensor, reference: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Distances `[P]` of the pairs `(anchor, reference)`, from differences in float64; NaN for the index -1.

        They come in the problem's dtype. As thresholds they are wanted in float64: a root that is rounded to float32
        and squared again is no longer equal to the distance that it came from.
        """
        parts = zip(anchor.split(self._exact_rows), reference[:, None].split(self._exact_rows), strict=True)
        found = [self._exact(*part).to(dtype or self.dtype) for part in parts]
        return torch.cat(found)[:, 0].masked_fill_(reference < 0, torch.nan)

    @property
    def _exact_rows(self) -> int:
        elements = _EXACT_ELEMENTS if self.anchors.is_cuda else _EXACT_ELEMENTS_CPU
        return max(1, elements // self.anchors.shape[1])

    def _exact(self, anchor: Tensor | slice, index: Tensor) -> Tensor:
        """Distances `[B, K]` between each of `anchor` `[B]` and the references `index` `[B, K]`."""
        flat = index.flatten().clamp_min(0)
        anchors, references = self._wide
        x = _rows(anchors, anchor).double()[:, None]
        y = references.index_select(0, flat).double().view(*index.shape, x.shape[-1])
        if self.distance == "cosine":
            norms = self._norms[1].index_select(0, flat).view_as(index).mul_(_rows(self._norms[0], anchor)[:, None])
            norms.clamp_min_(torch.finfo(torch.float64).tiny)
            return y.mul_(x).sum(dim=-1).div_(norms).neg_().add_(1)
        result = y.sub_(x).square_().sum(dim=-1)
        return result.sqrt_() if self.distance == "euclidean" else result

    @cached_property
    def _wide(self) -> tuple[Tensor, Tensor]:
        """Anchors and references, in float64 where that is little."""
        sides = (self.references,) if self.square else (self.anchors, self.references)
        if sum(side.numel() for side in sides) > _WIDE:
            return sides[0], sides[-1]
        wide = [side.double() for side in sides]
        return wide[0], wide[-1]

    @cached_property
    def _norms(self) -> tuple[Tensor, Tensor]:
        """Of anchors and references, float64 `[N]` and `[M]`."""
        sides = self._wide[1:] if self.square else self._wide
        parts = [side.split(self._exact_rows) for side in sides]
        norms = [
            torch.cat([torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64) for rows in side]) for side in parts
        ]
        return norms[0], norms[-1]


def _rows(values: Tensor, index: Tensor | slice) -> Tensor:
    return values[index] if isinstance(index, slice) else values.index_select(0, index)


def _normalized(rows: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    _check_range(norm.square())
    return rows.div(norm.clamp_min(1e-12))  # a row of zeros stays one


def _check_range(*squares: Tensor) -> None:
    """Raise `ValueError` where squared norms `[N]` are so large that a squared distance may overflow."""
    if not all(4 * float(part.amax()) <= torch.finfo(part.dtype).max for part in squares):
        raise ValueError(
            f"embeddings: their squared norms overflow {squares[0].dtype}; scale them down, or compute in float64 "
            "(float64 embeddings, or backend 'reference')"
        )
