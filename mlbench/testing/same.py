"""Whether two results are the same: tensors, arrays, numbers, and tuples, lists and dictionaries of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlbench.testing.requirement import require


def require_same(first: Any, second: Any, message: str, tolerance: float = 0.0) -> None:
    """Require that ``second`` is ``first``, up to ``tolerance`` in real numbers; NaN is NaN."""
    left, right = _leaves(first), _leaves(second)
    require(len(left) == len(right), f"{message}: {len(left)} values became {len(right)}")
    for one, other in zip(left, right, strict=True):
        require(one.shape == other.shape, f"{message}: shape {tuple(one.shape)} became {tuple(other.shape)}")
        close = torch.isclose(one.double(), other.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
        if not close.all():
            place = tuple((~close).nonzero()[0].tolist())
            at = f" at {list(place)}" if place else ""
            require(False, f"{message}: {one[place].item():.9g} became {other[place].item():.9g}{at}")


def _leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Mapping):
        return [leaf for name in sorted(value) for leaf in _leaves(value[name])]
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))]
