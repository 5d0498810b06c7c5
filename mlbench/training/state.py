"""The whole state of a training, as plain data and tensors: what is needed to go on to the same bits."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from mlbench.api.sampler import GroupedBatch, Indices, RefreshedSampler, Sampler


class Batches:
    """A sampler's stream of batches that knows how far it is.

    A stream may have ``state_dict`` and ``load_state_dict`` of its own. One that has not is a pure function of its
    seed, and as many batches are drawn again as were drawn before; unless the sampler follows the model.
    """

    def __init__(self, sampler: Sampler, stream: Iterator[Indices | GroupedBatch]) -> None:
        self._stream: Any = stream
        self._drawn = 0
        self.resumable = hasattr(stream, "state_dict") or not isinstance(sampler, RefreshedSampler)

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> Indices | GroupedBatch:
        self._drawn += 1
        batch: Indices | GroupedBatch = next(self._stream)
        return batch

    def state_dict(self) -> dict[str, Any]:
        """How far it is."""
        return {"drawn": self._drawn, "own": self._stream.state_dict() if hasattr(self._stream, "state_dict") else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go there; the stream has not been drawn from."""
        if state["own"] is not None:
            self._stream.load_state_dict(state["own"])
        else:
            for _ in range(state["drawn"]):
                next(self._stream)
        self._drawn = state["drawn"]


def state_of(module: nn.Module | None) -> dict[str, Any]:
    """Parameters, buffers and extra state of a module, also the buffers that its state dict leaves out."""
    if not isinstance(module, nn.Module):
        return {"state": {}, "hidden": {}}
    state = module.state_dict()
    hidden = {name: buffer for name, buffer in module.named_buffers() if name not in state}
    return {"state": state, "hidden": hidden}


def restore(module: nn.Module | None, kept: dict[str, Any]) -> None:
    """Give a module the state that `state_of` found."""
    if not isinstance(module, nn.Module):
        return
    module.load_state_dict(kept["state"])
    buffers = dict(module.named_buffers())
    for name, value in kept["hidden"].items():
        buffers[name].copy_(value)


def random_state(device: str) -> dict[str, Any]:
    """The state of the global generators."""
    name, keys, *rest = np.random.get_state(legacy=True)
    version, words, gauss = random.getstate()
    # As tensors: a list of 624 numbers takes longer to write than all the rest of a small state.
    found = {
        "torch": torch.get_rng_state(),
        "numpy": (name, torch.tensor(np.asarray(keys, np.int64)), *rest),
        "python": (version, torch.tensor(words), gauss),
    }
    return found | ({"cuda": torch.cuda.get_rng_state(device)} if torch.device(device).type == "cuda" else {})


def restore_random(state: dict[str, Any], device: str) -> None:
    """Set the global generators."""
    torch.set_rng_state(state["torch"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
