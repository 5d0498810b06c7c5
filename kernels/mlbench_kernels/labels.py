"""Items sorted by label, so that the items of one class are one contiguous range."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelOrder:
    """A stable sort by label.

    Attributes:
        index: `[N]`, original index of the item at each sorted position.
        label: `[N]`, its label, ascending.
    """

    index: Tensor
    label: Tensor

    @classmethod
    def of(cls, labels: Tensor) -> LabelOrder:
        """Sort `labels` `[N]`; items of one class keep their order.

        >>> LabelOrder.of(torch.tensor([7, 3, 7])).index.tolist()
        [1, 0, 2]
        """
        label, index = torch.sort(labels, stable=True)
        return cls(index, label)

    def spans(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """First sorted position and number of the items that carry each of `labels` `[Q]`.

        >>> LabelOrder.of(torch.tensor([7, 3, 7])).spans(torch.tensor([7, 5]))
        (tensor([1, 1]), tensor([2, 0]))
        """
        start = torch.searchsorted(self.label, labels)
        return start, torch.searchsorted(self.label, labels, right=True) - start
