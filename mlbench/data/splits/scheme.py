"""A scheme at work."""

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError
from mlbench.api.splits import ClassSplits
from mlbench.registry import Resolved, blamed


def split(scheme: Resolved, items: ItemTable, folds: int) -> ClassSplits:
    """Split a dataset by a scheme.

    Raises:
        ConfigError: If the scheme refuses its arguments or ``folds``.
        DataError: If the scheme does not fit the dataset, or gives something else than splits.
        PluginError: If it fails in another way.
    """
    with blamed(scheme.entry, scheme.where, "cannot split"):
        splits: object = scheme.build()(items, folds)
    if not isinstance(splits, ClassSplits) or len(splits.folds) != folds:
        raise DataError(f"{scheme.where}: {scheme.entry.id} gave no splits of {folds} folds, but {splits!r:.80}")
    return splits
