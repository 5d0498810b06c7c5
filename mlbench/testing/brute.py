"""The retrieval metrics by their definitions, one query after the other, in float64."""

import numpy as np
import numpy.typing as npt


def retrieval(
    embeddings: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    recall_at: tuple[int, ...],
    gallery: npt.NDArray[np.float64] | None = None,
    gallery_labels: npt.NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """Retrieval by cosine similarity; of equally similar samples the one with the lower index is nearer.

    With R the number of other samples of the query's class: R-Precision is the share of its class among the R nearest,
    MAP@R the mean over their places of the precision there, 0 where the place holds another class, and Recall@K whether
    its class is among the K nearest. Means are over queries with R > 0; the others are counted.

    Args:
        embeddings: ``[N, D]``.
        labels: ``[N]``.
        recall_at: The K of Recall@K.
        gallery: What the samples search; by default one another, each without itself. ``[M, D]``
        gallery_labels: ``[M]``.
    """
    unit = _unit(embeddings)
    offered = unit if gallery is None else _unit(gallery)
    offered_labels = labels if gallery_labels is None else gallery_labels
    found: dict[str, list[float]] = {"map_at_r": [], "r_precision": [], **{f"recall_at_{k}": [] for k in recall_at}}
    for query in range(len(labels)):
        similarity = np.round(offered @ unit[query], 12)
        itself = query if gallery is None else None
        nearest = [index for index in np.argsort(-similarity, kind="stable") if index != itself]
        hits = offered_labels[nearest] == labels[query]
        relevant = int(hits.sum())
        if not relevant:
            continue
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        found["map_at_r"].append(float((precision * hits)[:relevant].sum()) / relevant)
        found["r_precision"].append(float(hits[:relevant].mean()))
        for k in recall_at:
            found[f"recall_at_{k}"].append(float(hits[:k].any()))
    queries = len(found["map_at_r"])
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return {**means, "queries": queries, "lone_queries": len(labels) - queries}


def _unit(embeddings: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(norms > 0, norms, 1)
