"""Miners with the call signature of pytorch-metric-learning."""

from .batch_hard import BatchHardMiner

__all__ = ["BatchHardMiner"]
