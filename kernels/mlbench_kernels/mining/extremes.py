"""The nearest or farthest positive or negative of every anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from ..engine import run_rule
from ..operators import fake, operator
from ..rules.extreme import Extreme
from .arguments import Arguments, check_arguments, make_problem


@dataclass(frozen=True)
class Mined:
    """One reference for every anchor.

    Attributes:
        index: `[N]`, int64; -1 where there is none.
        distance: `[N]`, computed anew from differences in float64, without gradient; NaN where there is none.
        backend: the backend that ran.
    """

    index: Tensor
    distance: Tensor
    backend: str


@operator("extreme")
def extreme_op(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    distance: str,
    backend: str,
    pool: str,
    farthest: bool,
) -> tuple[Tensor, Tensor]:
    """Index and distance of the nearest or farthest of "positives" or "negatives"."""
    problem = make_problem(anchors, labels, references, reference_labels, distance)
    rule = Extreme(cast(Literal["positives", "negatives"], pool), farthest)
    (index,) = run_rule(rule, problem, backend)
    return index, problem.distances(index)


@fake("extreme")
def _(anchors, labels, references, reference_labels, distance, backend, pool, farthest):  # type: ignore[no-untyped-def]
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    return labels.new_empty(len(labels)), anchors.new_empty(len(labels), dtype=dtype)


def _mined(checked: Arguments, pool: str, farthest: bool) -> Mined:
    index, value = extreme_op(*checked, pool, farthest)
    return Mined(index, value, checked.backend)


def hard_positives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    distance: str = "cosine",
    backend: str = "auto",
) -> Mined:
    """The farthest reference of each anchor's label; arguments and errors as for `batch_hard`.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> hard_positives(embeddings, torch.tensor([0, 0, 0, 1])).index.tolist()
    [2, 2, 0, -1]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    return _mined(checked, "positives", farthest=True)


def easy_positives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    distance: str = "cosine",
    backend: str = "auto",
) -> Mined:
    """The nearest reference of each anchor's label; arguments and errors as for `batch_hard`.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> easy_positives(embeddings, torch.tensor([0, 0, 0, 1])).index.tolist()
    [1, 0, 1, -1]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    return _mined(checked, "positives", farthest=False)


def hard_negatives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    distance: str = "cosine",
    backend: str = "auto",
) -> Mined:
    """The nearest reference of another label; arguments and errors as for `batch_hard`.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> hard_negatives(embeddings, torch.tensor([0, 0, 1, 1])).index.tolist()
    [2, 2, 1, 1]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    return _mined(checked, "negatives", farthest=False)


def easy_negatives(
    anchors: Tensor,
    labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    distance: str = "cosine",
    backend: str = "auto",
) -> Mined:
    """The farthest reference of another label; arguments and errors as for `batch_hard`.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> easy_negatives(embeddings, torch.tensor([0, 0, 1, 1])).index.tolist()
    [3, 3, 0, 0]
    """
    checked = check_arguments(anchors, labels, references, reference_labels, distance, backend)
    return _mined(checked, "negatives", farthest=True)
