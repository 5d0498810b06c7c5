"""The two halves of a softmax over classes: the own logit, and the log-sum-exp of all others."""

from .operator import ClassSoftmax, class_softmax

__all__ = ["ClassSoftmax", "class_softmax"]
