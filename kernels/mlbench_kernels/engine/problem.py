"""Anchors against references, arranged for the tile loops."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DISTANCES = ("cosine", "euclidean", "squared-euclidean")


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

    def factors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """`(x [N, D], y [M, D], bias [M])` such that `bias - 2 x.y` orders the references of each anchor.

        That is `|x - y|^2` less `|x|^2`, which is constant for an anchor; all three distances grow with it, the cosine
        distance for normalised rows. The rows are moved towards 0 first: that changes no Euclidean distance, and keeps
        the rounding error proportional to the spread of the data instead of its offset.
        """
        x, y = self.anchors.to(dtype), self.references.to(dtype)
        if self.distance == "cosine":
            x = torch.nn.functional.normalize(x)
            y = x if self.square else torch.nn.functional.normalize(y)
            return x, y, torch.zeros_like(y[:, 0])
        mean = y.mean(dim=0)
        # A multiple of a power of two near the spread is as good as the mean, and leaves whole numbers whole: equal
        # distances between them stay exactly equal.
        step = torch.ldexp(torch.ones_like(mean[0]), torch.frexp((y - mean).abs().amax()).exponent)
        centre = (mean / step).round() * step
        x = x - centre
        y = x if self.square else y - centre
        return x, y, y.square().sum(dim=1)

    def distances(self, index: Tensor) -> Tensor:
        """Distance `[N]` of each anchor to the reference `index` `[N]`, from differences in float64; NaN for -1."""
        x, y = self.anchors.double(), self.references[index.clamp_min(0)].double()
        if self.distance == "cosine":
            result = 1 - torch.nn.functional.cosine_similarity(x, y)
        else:
            result = (x - y).square().sum(dim=1)
        if self.distance == "euclidean":
            result = result.sqrt()
        dtype = torch.promote_types(self.anchors.dtype, torch.float32)
        return result.masked_fill(index < 0, torch.nan).to(dtype)
