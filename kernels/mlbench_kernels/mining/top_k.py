"""The k hardest positives or negatives of every anchor, and its k nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Unpack, cast

import torch
from torch import Tensor

from ..checks import check_matrix, check_whole
from ..operators import fake
from ..rules.top_k import TopK
from .arguments import Arguments, Options, check_arguments
from .search import Search, empty_picks, mining_operator


@dataclass(frozen=True)
class MinedK:
    """Up to k references for every anchor, the hardest first (the nearest, of neighbours).

    Attributes:
        index: `[N, k]`, int64; -1 where there are fewer.
        distance: `[N, k]`, computed anew from differences in float64, without gradient; NaN where there are fewer.
        backend: the backend that ran.
        precision: the mode in which it multiplied.
    """

    index: Tensor
    distance: Tensor
    backend: str
    precision: str


@mining_operator("top_k")
def top_k_op(search: Search, pool: str, k: int, farthest: bool) -> tuple[Tensor, Tensor]:
    """Indices and distances of the nearest or farthest of "positives", "negatives" or "others"."""
    (index,) = search.run(TopK(cast(Literal["positives", "negatives", "others"], pool), k, farthest))
    return index, search.problem.distances(index)


@fake("top_k")
def _(anchors, *arguments):  # type: ignore[no-untyped-def]
    *_, k, _ = arguments
    return empty_picks(anchors, len(anchors), k)


def _mined(checked: Arguments, pool: str, k: int, farthest: bool) -> MinedK:
    k = check_whole("k", k, 1)
    index, value = top_k_op(*checked, pool, k, farthest)
    return MinedK(index, value, checked.backend, checked.precision)


def top_k_negatives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    k: int,
    **options: Unpack[Options],
) -> MinedK:
    """The k nearest references of another label; other arguments and errors as for `batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> top_k_negatives(embeddings, torch.tensor([0, 0, 1, 2]), k=2).index.tolist()
    [[2, 3], [2, 3], [1, 0], [2, 1]]
    """
    return _mined(check_arguments(anchors, labels, references, reference_labels, **options), "negatives", k, False)


def top_k_positives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    k: int,
    **options: Unpack[Options],
) -> MinedK:
    """The k farthest references of the anchor's label; other arguments and errors as for `batch_hard`.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> top_k_positives(embeddings, torch.tensor([0, 0, 0, 1]), k=2).index.tolist()
    [[2, 1], [2, 0], [0, 1], [-1, -1]]
    """
    return _mined(check_arguments(anchors, labels, references, reference_labels, **options), "positives", k, True)


def nearest_neighbours(
    anchors: Tensor, references: Tensor | None = None, *, k: int, **options: Unpack[Options]
) -> MinedK:
    """The k nearest references, whatever their labels; without `references` an anchor's neighbours among the others.

    Other arguments and errors as for `batch_hard`. For showing results; metrics do not need it.

    >>> import torch
    >>> nearest_neighbours(torch.tensor([[0.0], [2.0], [3.0]]), k=2, distance="euclidean").index.tolist()
    [[1, 2], [2, 0], [1, 0]]
    """
    check_matrix("anchors", anchors)
    labels = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
    reference_labels = None
    if references is not None:
        check_matrix("references", references)
        reference_labels = torch.zeros(len(references), dtype=torch.int64, device=references.device)
    return _mined(check_arguments(anchors, labels, references, reference_labels, **options), "others", k, False)
