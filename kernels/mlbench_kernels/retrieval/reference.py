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
        q, r = torch.nn.functional.normalize(q, eps=1e-300), torch.nn.functional.normalize(r, eps=1e-300)
    for i in range(len(q)):
        distance = -(r * q[i]).sum(dim=1) if cosine else (r - q[i]).square().sum(dim=1)
        nearest = torch.argsort(distance, stable=True)
        if references is None:
            nearest = nearest[nearest != i]
        yield labels[nearest] == query_labels[i]
