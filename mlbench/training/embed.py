"""Embeddings of a view."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mlbench.data.images import ImageView
from mlbench.data.loader import evaluated
from mlbench.data.transforms import EvalTransform

#: Images per forward pass of evaluation; it changes speed and memory only.
BATCH = 256


@torch.inference_mode()
def embed(model: nn.Module, view: ImageView, transform: EvalTransform, device: str, loaders: int = 0) -> Tensor:
    """L2-normalised embeddings ``[N, D]`` of every item of a view, on the CPU, in the view's order.

    ``loaders`` threads transform the next images meanwhile.
    """
    return torch.cat([normalize(part, dim=1).cpu() for part in _outputs(model, view, transform, device, loaders)])


@torch.inference_mode()
def outputs(model: nn.Module, view: ImageView, transform: EvalTransform, device: str, loaders: int = 0) -> Tensor:
    """What the model gives for every item of a view, not normalised: ``[N, D]`` on the CPU, in the view's order."""
    return torch.cat([part.cpu() for part in _outputs(model, view, transform, device, loaders)])


def _outputs(
    model: nn.Module, view: ImageView, transform: EvalTransform, device: str, loaders: int
) -> Iterator[Tensor]:
    model.eval()
    for images in evaluated(view, transform, BATCH, threads=loaders, pinned=device.startswith("cuda")):
        yield model(images.to(device, non_blocking=True)).float()
