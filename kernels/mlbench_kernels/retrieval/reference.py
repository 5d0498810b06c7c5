"""The oracle: every query ranks every reference by float64 distances, written as plainly as possible."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def reference_relevance(
    queries: Tensor,
    query_labels: Tensor,
    references: Tensor | None,
    reference_labels: Tensor | None,
    cosine: bool,
) -> Iterator[Tensor]:
    """For each query, whether each of its references, nearest first, has its label, `[M]` (`[N - 1]` without self)."""
    gallery, labels = (queries, query_labels) if references is None else (references, reference_labels)
    assert labels is not None
    q, r = queries.double(), gallery.double()
    if cosine:
        # |a - b|^2 = 2 - 2 cos for unit rows, and far more precise than the cosine where they are almost parallel.
        q, r = torch.nn.functional.normalize(q, eps=1e-300), torch.nn.functional.normalize(r, eps=1e-300)
    for i in range(len(q)):
        distance = (r - q[i]).square().sum(dim=1)
        if cosine:
            distance[(r == 0).all(dim=1) | (q[i] == 0).all()] = 2  # a zero row has cosine 0 with everything
        nearest = torch.argsort(distance, stable=True)
        if references is None:
            nearest = nearest[nearest != i]
        yield labels[nearest] == query_labels[i]
