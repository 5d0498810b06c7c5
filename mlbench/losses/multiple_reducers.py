"""Another reducer for each part of a loss."""

from typing import Any

from pytorch_metric_learning import reducers

from mlbench.api import ComponentInfo


class MultipleReducers(reducers.MultipleReducers):  # type: ignore[misc]
    """pytorch-metric-learning's reducer from two lists; the plain class wants a dictionary of modules.

    Args:
        parts: Names of parts of the loss, such as ``pos_loss`` and ``neg_loss`` of the contrastive loss.
        reducers: The reducer of each of them.
        default_reducer: The reducer of all other parts; the mean by default.
        **kwargs: Whatever else the plain class takes.

    Raises:
        ValueError: If the two lists have different lengths.
    """

    info = ComponentInfo(summary="A reducer for each part of a loss (pos_loss, neg_loss, ...), summed up")

    def __init__(self, parts: tuple[str, ...], reducers: list[Any], default_reducer: Any = None, **kwargs: Any) -> None:
        super().__init__(reducers=dict(zip(parts, reducers, strict=True)), default_reducer=default_reducer, **kwargs)
