"""The component under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlbench.registry import Resolved, info_of
from mlbench.testing.batch import CLASSES, SIZE, Batch


class NotApplicable(Exception):
    """Raised by a check that has nothing to say about a component; the check is then left out of the report."""


@dataclass(frozen=True)
class Subject:
    """A component with its arguments: builds fresh objects and calls them as the training loop does."""

    resolved: Resolved

    def build(self, seed: int = 0) -> nn.Module:
        """A new object; the same ``seed`` gives the same parameters."""
        with seeded(seed):
            module: nn.Module = self.resolved.build(num_classes=CLASSES, embedding_size=SIZE)
        return module

    @property
    def two_views(self) -> bool:
        """Whether it asks for a second view of every sample."""
        return "second_view" in info_of(self.resolved.component).needs

    def call(self, module: nn.Module, batch: Batch) -> Any:
        """Call it on a batch, with its random choices seeded."""
        reference = {"ref_emb": batch.second, "ref_labels": batch.labels} if self.two_views else {}
        with seeded(1):
            return module(batch.embeddings, batch.labels, **reference)

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        """Call a loss, and insist on a finite scalar."""
        return finite_scalar(self.call(module, batch))


def finite_scalar(value: Any) -> Tensor:
    """``value``, if it is a finite scalar tensor."""
    assert isinstance(value, Tensor), f"returned {type(value).__name__}, not a tensor"
    assert value.numel() == 1, f"returned a tensor of shape {tuple(value.shape)}, not a scalar"
    assert torch.isfinite(value).all(), f"the value is {value.item()}"
    return value.reshape(())


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of torch and NumPy, and put them back afterwards."""
    numpy_state = np.random.get_state(legacy=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Insist that the global generators of torch and NumPy are left as they are."""
    with seeded(0):
        torch_before, numpy_before = torch.get_rng_state(), _numpy_state()
        yield
        torch_after, numpy_after = torch.get_rng_state(), _numpy_state()
    assert torch.equal(torch_before, torch_after), "draws from torch's global generator"
    assert numpy_before == numpy_after, "draws from NumPy's global generator"


def _numpy_state() -> tuple[bytes, int]:
    state = np.random.get_state(legacy=False)["state"]
    return state["key"].tobytes(), state["pos"]
