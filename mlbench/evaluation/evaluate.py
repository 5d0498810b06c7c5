"""Metrics of anybody's embeddings: from arrays, or from an ``.npz`` file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from mlbench_kernels.retrieval import RetrievalMetrics, retrieval_metrics
from torch import Tensor

from mlbench.api.errors import DataError
from mlbench.data.npz import read_embeddings

Array: TypeAlias = npt.ArrayLike | Tensor

#: The kernel's names of the arguments, and those that users gave them by.
_NAMES = {
    "queries": "embeddings",
    "query_labels": "labels",
    "references": "gallery",
    "reference_labels": "gallery_labels",
}


def evaluate(
    embeddings: Array,
    labels: Array,
    gallery: Array | None = None,
    gallery_labels: Array | None = None,
    *,
    recall_at: Sequence[int] = (1, 2, 4, 8),
    distance: Literal["cosine", "squared-euclidean"] = "cosine",
    all_ranks: bool = False,
) -> RetrievalMetrics:
    """Exact Recall@K, R-Precision and MAP@R.

    Without a gallery every sample is a query against all others (itself excluded by index); with one, queries are
    ranked against the gallery only. Queries without a positive are left out of the means and counted.

    Args:
        embeddings: ``[N, D]`` real numbers.
        labels: ``[N]`` integers or strings.
        gallery: ``[M, D]``.
        gallery_labels: ``[M]``.
        recall_at: The K of Recall@K.
        distance: ``"cosine"`` or ``"squared-euclidean"``.
        all_ranks: MAP and MRR too. They depend on positives at any rank, so nothing can be left out: it takes longer.

    Raises:
        DataError: If shapes do not fit, a value is not finite, or no query has a positive; the message says where.

    >>> found = evaluate([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], [0, 0, 1, 1])
    >>> found.map_at_r, found.recall_at[1]
    (1.0, 1.0)
    """
    try:
        queries = _floats(embeddings, "embeddings")
        query_ids, gallery_ids = _integer_labels(labels, gallery_labels)
        return retrieval_metrics(
            queries,
            query_ids.to(queries.device),
            None if gallery is None else _floats(gallery, "gallery"),
            None if gallery_ids is None else gallery_ids.to(queries.device),
            recall_at=tuple(recall_at),
            distance=distance,
            all_ranks=all_ranks,
        )
    except ValueError as error:
        text = re.sub(r"\w+", lambda word: _NAMES.get(word[0], word[0]), str(error))
        raise DataError(f"evaluate: {text}") from None


def evaluate_file(
    path: str | Path, recall_at: Sequence[int] = (1, 2, 4, 8), all_ranks: bool = False
) -> RetrievalMetrics:
    """Metrics of an ``.npz`` file, as of `evaluate`.

    It holds ``embeddings [N, D]`` and ``labels [N]``, and for the query/gallery form ``gallery [M, D]`` and
    ``gallery_labels [M]`` too.

    Raises:
        DataError: If the file is missing, is no ``.npz``, lacks an array or holds pickled objects.
    """
    arrays = read_embeddings(path)
    if ("gallery" in arrays) != ("gallery_labels" in arrays):
        raise DataError(f"{path}: gallery and gallery_labels go together; one of them is missing")
    try:
        return evaluate(
            arrays["embeddings"],
            arrays["labels"],
            arrays.get("gallery"),
            arrays.get("gallery_labels"),
            recall_at=recall_at,
            all_ranks=all_ranks,
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _floats(values: Array, name: str) -> Tensor:
    tensor = values if isinstance(values, Tensor) else _tensor(np.asarray(values), name)
    if not tensor.dtype.is_floating_point:
        raise DataError(f"evaluate: {name} must be real numbers, got {tensor.dtype}")
    return tensor


def _tensor(array: npt.NDArray[Any], name: str) -> Tensor:
    if array.dtype.kind != "f" or array.itemsize > 8:
        raise DataError(f"evaluate: {name} must be real numbers of at most 64 bits, got {array.dtype}")
    # Copied where torch would not take it: memory-mapped for reading, reversed, of the other byte order.
    native = array.dtype.newbyteorder("=")
    return torch.from_numpy(np.require(array, native, ["C_CONTIGUOUS", "WRITEABLE"]))


def _integer_labels(labels: Array, gallery_labels: Array | None) -> tuple[Tensor, Tensor | None]:
    """Labels of any kind as integers, the same integer for the same label on both sides."""
    left = _names(labels, "labels")
    right = left[:0] if gallery_labels is None else _names(gallery_labels, "gallery_labels")
    _, ids = np.unique(np.concatenate([left, right]), return_inverse=True)
    both = torch.from_numpy(ids.astype(np.int64))
    return both[: len(left)], None if gallery_labels is None else both[len(left) :]


def _names(labels: Array, name: str) -> npt.NDArray[Any]:
    array = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if array.dtype.kind == "O":  # a column of a data frame
        array = np.asarray(array.tolist())
    if array.ndim != 1:
        raise DataError(f"evaluate: {name} must be one-dimensional, got shape {array.shape}")
    if array.dtype.kind not in "iubUS":
        raise DataError(f"evaluate: {name} must be integers or strings, got {array.dtype}")
    return array
