"""The nearest or farthest positive or negative of every anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from torch import Tensor

from ..operators import fake
from .arguments import Arguments, Options, check_arguments
from .certify import extreme
from .search import Search, empty_picks, mining_operator


@dataclass(frozen=True)
class Mined:
    """One reference for every anchor.

    Attributes:
        index: `[N]`, int64; -1 where there is none.
        distance: `[N]`, computed anew from differences in float64, without gradient; NaN where there is none.
        backend: the backend that ran.
        precision: the mode in which it multiplied.
    """

    index: Tensor
    distance: Tensor
    backend: str
    precision: str


@mining_operator("extreme")
def extreme_op(search: Search, pool: str, farthest: bool, certified: bool = False) -> tuple[Tensor, Tensor]:
    """Index and distance of the nearest or farthest of "positives" or "negatives"."""
    index = extreme(search, pool, farthest, certified)
    return index, search.problem.distances(index)


@fake("extreme")
def _(anchors, *_):  # type: ignore[no-untyped-def]
    return empty_picks(anchors, len(anchors))


def _mined(checked: Arguments, pool: str, farthest: bool, certified: bool) -> Mined:
    index, value = extreme_op(*checked, pool, farthest, certified)
    return Mined(index, value, checked.backend, checked.precision)


def hard_positives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    certified: bool = False,
    **options: Unpack[Options],
) -> Mined:
    """The farthest reference of each anchor's label; arguments and errors as for `batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> hard_positives(embeddings, torch.tensor([0, 0, 0, 1])).index.tolist()
    [2, 2, 0, -1]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    return _mined(checked, "positives", True, certified)


def easy_positives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    certified: bool = False,
    **options: Unpack[Options],
) -> Mined:
    """The nearest reference of each anchor's label; arguments and errors as for `batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> easy_positives(embeddings, torch.tensor([0, 0, 0, 1])).index.tolist()
    [1, 0, 1, -1]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    return _mined(checked, "positives", False, certified)


def hard_negatives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    certified: bool = False,
    **options: Unpack[Options],
) -> Mined:
    """The nearest reference of another label; arguments and errors as for `batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> hard_negatives(embeddings, torch.tensor([0, 0, 1, 1])).index.tolist()
    [2, 2, 1, 1]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    return _mined(checked, "negatives", False, certified)


def easy_negatives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    certified: bool = False,
    **options: Unpack[Options],
) -> Mined:
    """The farthest reference of another label; arguments and errors as for `batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> easy_negatives(embeddings, torch.tensor([0, 0, 1, 1])).index.tolist()
    [3, 3, 0, 0]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, **options)
    return _mined(checked, "negatives", True, certified)
