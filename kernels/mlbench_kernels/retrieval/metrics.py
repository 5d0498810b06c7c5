"""Exact Recall@K, precision@1, R-Precision, MAP@R, MAP and MRR."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..checks import check_choice, check_embeddings, check_finite, check_labels, check_references, check_whole
from ..dispatch import choose_backend
from ..precision import choose_precision
from .blocked import blocked_ranks
from .counted import counted_ranks
from .reference import reference_relevance

_DISTANCES = ("cosine", "squared-euclidean")
_BACKENDS = ("triton", "blocked", "reference")
_LEAST_MEMORY = 1 << 20


@dataclass(frozen=True)
class RetrievalMetrics:
    """Retrieval quality, averaged over the queries that have at least one positive.

    Attributes:
        recall_at: K → share of queries with a positive among the K nearest references.
        precision_at_1: share of queries whose nearest reference is a positive.
        r_precision: mean share of positives among the R nearest, R being the query's number of positives.
        map_at_r: mean of `(1/R) sum_{i <= R} P(i) rel(i)` (Musgrave et al., "A Metric Learning Reality Check", 2020).
        mean_average_precision: mean of `(1/R) sum_i P(i) rel(i)` over all ranks i; None unless asked for.
        mean_reciprocal_rank: mean of one over the rank of the nearest positive; None unless asked for.
        queries: number of queries in the means.
        lone_queries: number of queries left out because no reference has their label.
        backend: the backend that ran.
        per_query: `precision_at_1`, `r_precision` and `map_at_r` of every query `[N]` in float64 (with all ranks
            `average_precision` and `reciprocal_rank` too), NaN for lone ones; only if asked for.
    """

    recall_at: dict[int, float]
    precision_at_1: float
    r_precision: float
    map_at_r: float
    mean_average_precision: float | None
    mean_reciprocal_rank: float | None
    queries: int
    lone_queries: int
    backend: str
    per_query: dict[str, Tensor] | None = field(default=None, compare=False, repr=False)


@torch.no_grad()
def retrieval_metrics(
    queries: Tensor,
    query_labels: Tensor,
    references: Tensor | None = None,
    reference_labels: Tensor | None = None,
    *,
    recall_at: Iterable[int] = (1, 2, 4, 8),
    distance: str = "cosine",
    all_ranks: bool = False,
    memory: int = 128 << 20,
    backend: str = "auto",
    precision: str = "auto",
    per_query: bool = False,
) -> RetrievalMetrics:
    """Rank the references of every query and measure how early its positives come.

    Without `references` the queries search among themselves; a query never finds itself, by index: an equal row
    elsewhere is found. With `references` nothing is left out. References at equal distance are ranked by
    their index, lowest first. Ranks are those of float64 distances between the given values.

    Args:
        queries: `[N, D]`, any floating-point dtype, any device.
        query_labels: `[N]`, integers.
        references: `[M, D]`, or None for the square form.
        reference_labels: `[M]`, integers.
        recall_at: the K of Recall@K, each at least 1, in any order and of any size.
        distance: "cosine" (a zero row has cosine 0 with everything) or "squared-euclidean".
        all_ranks: also MAP and MRR. They depend on positives however far they are, so that "blocked" can leave
            nothing out and takes many times longer; "triton" counts everything anyway.
        memory: bytes of working memory of "blocked", beside one float32 copy of queries and references.
        backend: "triton" (CUDA), "blocked" (any device), "reference" (dense float64, for small sets), or "auto".
        precision: how "triton" multiplies; what it cannot tell apart is decided exactly in any case.
        per_query: also return the values of every query.

    Returns:
        The means, with the number of queries that entered them.

    Raises:
        ValueError: for arguments that do not fit, and when no query has a positive.

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [-1.0, 0.0]])
    >>> result = retrieval_metrics(embeddings, torch.tensor([0, 0, 1, 1, 2]), recall_at=[1])
    >>> result.recall_at, result.map_at_r, result.queries, result.lone_queries
    ({1: 1.0}, 1.0, 4, 1)
    """
    check_choice("distance", distance, _DISTANCES)
    check_embeddings("queries", queries)
    check_labels("query_labels", query_labels, "queries", queries)
    check_references("queries", queries, references, reference_labels)
    if references is not None:
        check_finite("references", references)
    chosen = choose_backend(backend, _BACKENDS, queries)
    mode = choose_precision(precision, chosen, queries)
    ks = _checked_ks(recall_at)
    memory = check_whole("memory", memory, _LEAST_MEMORY)
    query_labels = query_labels.long()
    reference_labels = None if reference_labels is None else reference_labels.long()
    table = _Table(len(queries), queries.device, all_ranks)
    cosine = distance == "cosine"
    if chosen == "reference":
        rows = reference_relevance(queries, query_labels, references, reference_labels, cosine)
        for i, hits in enumerate(rows):
            table.fill_from_relevance(i, hits)
    else:
        inputs = (queries, query_labels, references, reference_labels)
        last = len(queries if references is None else references)  # no rank is larger
        if chosen == "triton":
            groups = counted_ranks(*inputs, last if all_ranks else max(ks), cosine, all_ranks, chosen, mode)
        else:
            groups = blocked_ranks(*inputs, last if all_ranks else max(ks), cosine, all_ranks, memory)
        for group in groups:
            table.fill_from_ranks(*group)
    return table.summary(ks, chosen, per_query)


def _checked_ks(recall_at: Iterable[int]) -> list[int]:
    ks = sorted({check_whole("recall_at", k, 1) for k in recall_at})
    if not ks:
        raise ValueError("recall_at: empty; give at least one K, for example (1,)")
    return ks


class _Table:
    """One row per query: rank of its nearest positive, R-Precision and average precision, at R and if asked for."""

    def __init__(self, count: int, device: torch.device, all_ranks: bool) -> None:
        self._first = torch.zeros(count, dtype=torch.int64, device=device)  # 0 for a lone query
        self._r_precision = torch.full((count,), torch.nan, dtype=torch.float64, device=device)
        self._map_at_r = self._r_precision.clone()
        self._average_precision = self._r_precision.clone() if all_ranks else None

    def fill_from_relevance(self, i: int, hits: Tensor) -> None:
        """Set query `i` from the relevance `[M]` of its references, nearest first."""
        r = int(hits.sum())
        if r == 0:
            return
        found = hits.double()
        precision = found.cumsum(0) / torch.arange(1, len(hits) + 1, device=hits.device) * found
        self._first[i] = int(hits.nonzero()[0]) + 1
        self._r_precision[i] = found[:r].sum() / r
        self._map_at_r[i] = precision[:r].sum() / r
        if self._average_precision is not None:
            self._average_precision[i] = precision.sum() / r

    def fill_from_ranks(self, query: Tensor, relevant: Tensor, row: Tensor, k: Tensor, rank: Tensor) -> None:
        """Set the queries `query` `[Q]` with `relevant` `[Q]` positives from their ranks."""
        inside = (rank <= relevant[row]).double()
        zero = torch.zeros(len(query), dtype=torch.float64, device=rank.device)
        # 0 / 0 leaves NaN for lone queries.
        self._r_precision[query] = zero.index_add(0, row, inside) / relevant
        self._map_at_r[query] = zero.index_add(0, row, inside * k / rank) / relevant
        if self._average_precision is not None:
            self._average_precision[query] = zero.index_add(0, row, k / rank.double()) / relevant
        nearest = k == 1
        self._first[query[row[nearest]]] = rank[nearest]

    def summary(self, ks: list[int], backend: str, per_query: bool) -> RetrievalMetrics:
        """Average over the queries that are not lone."""
        counted = self._first > 0
        queries = int(counted.sum())
        if queries == 0:
            raise ValueError(
                f"query_labels: none of the {len(counted)} queries has a positive (another item of its label) "
                "among the references, so there is nothing to measure"
            )
        first = self._first[counted]
        hit = torch.where(counted, (self._first == 1).double(), torch.nan)
        values = {"precision_at_1": hit, "r_precision": self._r_precision, "map_at_r": self._map_at_r}
        if self._average_precision is not None:
            values["average_precision"] = self._average_precision
            values["reciprocal_rank"] = torch.where(counted, 1 / self._first.double(), torch.nan)
        mean = {name: float(value[counted].mean()) for name, value in values.items()}
        return RetrievalMetrics(
            recall_at={k: float((first <= k).double().mean()) for k in ks},
            precision_at_1=mean["precision_at_1"],
            r_precision=mean["r_precision"],
            map_at_r=mean["map_at_r"],
            mean_average_precision=mean.get("average_precision"),
            mean_reciprocal_rank=mean.get("reciprocal_rank"),
            queries=queries,
            lone_queries=len(counted) - queries,
            backend=backend,
            per_query=values if per_query else None,
        )
