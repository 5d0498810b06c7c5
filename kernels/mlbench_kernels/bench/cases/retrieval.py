"""Exact retrieval metrics at the size of a field's test set: 60,502 queries among themselves, 11,316 classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...retrieval import retrieval_metrics
from ..case import OURS, PML, Bar, Case, Judge, Provider, Setting, Shape, Verdict
from ..data import Batch, make_batch
from ..product import product

_SAMPLE = 512  # queries whose metrics are computed anew in float64
_CPU, _GPU = Shape(60_502, 128, 11_316), Shape(60_502, 512, 11_316)


def _ours(batch: Batch, _: Setting) -> Callable[[], Any]:
    return lambda: retrieval_metrics(*batch, distance="cosine", per_query=True)


def _theirs(batch: Batch, _: Setting) -> Callable[[], Any]:
    import faiss
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    faiss.omp_set_num_threads(torch.get_num_threads())
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=names, k="max_bin_count")
    return lambda: calculator.get_accuracy(*batch)


def judge(batch: Batch) -> Judge:
    """MAP@R of an even sample of the queries, from the float64 ranks of their positives."""
    step = max(1, len(batch.labels) // _SAMPLE)
    sample = torch.arange(0, len(batch.labels), step, device=batch.labels.device)
    x = normalize(batch.embeddings.double())
    exact = torch.stack([_map_at_r(1 - x @ x[i], batch.labels, i) for i in sample.tolist()])

    def verdict(map_at_r: Tensor, precision: str) -> Verdict:
        away = (map_at_r[sample] - exact).abs()
        wrong = away.isnan() != exact.isnan()
        away = away.masked_fill(wrong, torch.inf).nan_to_num(0.0, posinf=torch.inf)
        return Verdict(int((away > 1e-9).sum()), len(sample), float(away.max()), 1e-9)

    return verdict


def _map_at_r(distance: Tensor, labels: Tensor, query: int) -> Tensor:
    """From the distances `[N]` of one query: the mean over its R nearest of precision where there is a positive."""
    relevant = labels == labels[query]
    relevant[query] = False
    r = int(relevant.sum())
    distance = distance.clone()
    distance[query] = torch.inf
    hits = relevant[distance.argsort(stable=True)[:r]].double()
    places = torch.arange(1, r + 1, device=labels.device)
    return (hits.cumsum(0) / places * hits).sum() / r  # NaN without a positive


CASES = (
    Case(
        "retrieval metrics",
        make_batch,
        judge,
        (
            Provider(OURS, _ours, lambda found: found.per_query["map_at_r"]),
            product,
            Provider(PML, _theirs, devices=("cpu",), pair_bytes=2.5),
        ),
        cpu=(_CPU,),
        gpu=(_GPU,),
        bars=(
            Bar("cpu", _CPU, "speed", 2, PML),
            Bar("cpu", _CPU, "memory", 300 << 20),
            Bar("cuda", _GPU, "time", 0.060),
        ),
        threads=2,
    ),
)
