"""Embeddings of a view."""

from collections.abc import Iterator

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
    return torch.cat([normalize(part, dim=1).cpu() for part in _outputs(model, view, transform, device)])


@torch.inference_mode()
def outputs(model: nn.Module, view: ImageView, transform: EvalTransform, device: str) -> Tensor:
    """What the model gives for every item of a view, not normalised: ``[N, D]`` on the CPU, in the view's order."""
    return torch.cat([part.cpu() for part in _outputs(model, view, transform, device)])


def _outputs(model: nn.Module, view: ImageView, transform: EvalTransform, device: str) -> Iterator[Tensor]:
    model.eval()
    for start in range(0, len(view), BATCH):
        images = transform(view.images(range(start, min(start + BATCH, len(view)))))
        yield model(images.to(device)).float()
