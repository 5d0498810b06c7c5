"""Embeddings of a view."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mlbench.data.images import ImageView
from mlbench.data.transforms import EvalTransform

#: Images per forward pass of evaluation; it changes speed and memory only.
BATCH = 256


@torch.inference_mode()
def embed(model: nn.Module, view: ImageView, transform: EvalTransform, device: str) -> Tensor:
    """L2-normalised embeddings ``[N, D]`` of every item of a view, on the CPU, in the view's order."""
    model.eval()
    parts = []
    for start in range(0, len(view), BATCH):
        images = transform(view.images(range(start, min(start + BATCH, len(view)))))
        parts.append(normalize(model(images.to(device)).float(), dim=1).cpu())
    return torch.cat(parts)
