"""The Reality Check's "concatenated" result: the fold models' embeddings joined into one."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize


def concatenate(embeddings: Sequence[Tensor]) -> Tensor:
    """Join ``M`` embeddings ``[N, D]`` of the same samples, each L2-normalised, to ``[N, M * D]``.

    >>> concatenate([torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])]).tolist()
    [[0.6000000238418579, 0.800000011920929, 0.0, 1.0]]
    """
    return torch.cat([normalize(part, dim=1) for part in embeddings], dim=1)
