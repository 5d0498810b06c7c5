"""Losses, distances, reducers and regularizers: those of pytorch-metric-learning, most of them as they are.

An entry point in ``pyproject.toml`` names the class. A module of this package exists only where the plain class cannot
work from a table of a benchmark file, cannot resume exactly, is wrong or is another formula; each says which.

Left out, because no table can make them work: the abstract bases (``BaseMetricLossFunction``, ``GenericPairLoss``,
``BaseDistance``, ...), ``BatchedDistance`` (returns nothing, it hands blocks to a function) and ``DoNothingReducer``
(returns the dictionary of unreduced losses, which nothing can be trained on).
"""
