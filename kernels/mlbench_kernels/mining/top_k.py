"""The k hardest positives or negatives of every anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from ..checks import check_whole
from ..engine import run_rule
from ..operators import fake, operator
from ..rules.top_k import TopK
from .arguments import check_arguments, make_problem


@dataclass(frozen=True)
class MinedK:
    """Up to k references for every anchor, the hardest first.

    Attributes:
        index: `[N, k]`, int64; -1 where there are fewer.
        distance: `[N, k]`, computed anew from differences in float64, without gradient; NaN where there are fewer.
        backend: the backend that ran.
    """

    index: Tensor
    distance: Tensor
    backend: str


@operator("top_k")
def top_k_op(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    backend: str,
    pool: str,
    k: int,
    farthest: bool,
) -> tuple[Tensor, Tensor]:
    """Indices and distances of the nearest or farthest of "positives" or "negatives"."""
    problem = make_problem(anchors, labels, references, reference_labels, distance)
    (index,) = run_rule(TopK(cast(Literal["positives", "negatives"], pool), k, farthest), problem, backend)
    return index, problem.distances(index)


@fake("top_k")
def _(anchors, labels, references, reference_labels, distance, backend, pool, k, farthest):  # type: ignore[no-untyped-def]
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    return labels.new_empty(len(labels), k), anchors.new_empty(len(labels), k, dtype=dtype)


def top_k_negatives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    k: int,
    distance: str = "cosine",
    backend: str = "auto",
) -> MinedK:
    """The k nearest references of another label; other arguments and errors as for `batch_hard`.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> top_k_negatives(embeddings, torch.tensor([0, 0, 1, 2]), k=2).index.tolist()
    [[2, 3], [2, 3], [1, 0], [2, 1]]
    """
    k = check_whole("k", k, 1)
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    index, value = top_k_op(*checked, "negatives", k, False)
    return MinedK(index, value, checked.backend)


def top_k_positives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    k: int,
    distance: str = "cosine",
    backend: str = "auto",
) -> MinedK:
    """The k farthest references of the anchor's label; other arguments and errors as for `batch_hard`.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> top_k_positives(embeddings, torch.tensor([0, 0, 0, 1]), k=2).index.tolist()
    [[2, 1], [2, 0], [0, 1], [-1, -1]]
    """
    k = check_whole("k", k, 1)
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    index, value = top_k_op(*checked, "positives", k, True)
    return MinedK(index, value, checked.backend)
