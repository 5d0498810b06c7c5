"""Log-sum-exp of the products with all rows of another label: the denominator of a softmax over classes."""

from .operator import negative_logsumexp

__all__ = ["negative_logsumexp"]
