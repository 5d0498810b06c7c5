"""Cosine regression onto one-hot targets."""

from typing import Any

from pytorch_metric_learning import losses

from mlbench.api import ComponentInfo


class P2SGradLoss(losses.P2SGradLoss):  # type: ignore[misc]
    """pytorch-metric-learning's P2SGrad loss; the plain class calls the embedding size ``descriptors_dim``.

    ``mean_ij (cos(x_i, w_j) - [j = y_i])^2``.

    Args:
        num_classes: Number of training classes.
        embedding_size: D.
        **kwargs: ``embedding_regularizer`` and whatever else the plain class takes.
    """

    info = ComponentInfo(
        summary="P2SGrad: mean squared error between cosines to class weights and one-hot targets",
        citation="https://arxiv.org/abs/1905.02479",
        tags=("classification",),
        expected_failures={
            "numerical-gradient": "weights are normalised outside of the graph: their norm is a constant",
            "zero-vectors": "divides by the norm of the embedding",
        },
    )

    def __init__(self, num_classes: int, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(descriptors_dim=embedding_size, num_classes=num_classes, **kwargs)
