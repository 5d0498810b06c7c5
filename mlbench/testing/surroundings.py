"""What all code in a process shares: the global random generators, and torch's global settings."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from mlbench.testing.requirement import require

#: Name, how to read it, and how to put it back.
_SETTINGS: tuple[tuple[str, Callable[[], Any], Callable[[Any], object]], ...] = (
    ("the default device", torch.get_default_device, lambda device: torch.set_default_device(_explicit(device))),
    ("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    ("whether gradients are recorded", torch.is_grad_enabled, torch.set_grad_enabled),
    (
        "whether algorithms must be deterministic",
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    ("the precision of matrix products", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    ("the number of threads", torch.get_num_threads, torch.set_num_threads),
    ("anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    ("NumPy's error handling", np.geterr, lambda state: np.seterr(**state)),
)

#: A seed that nobody chooses: a component that seeds with 0 must be told from one that seeds nothing.
_UNUSUAL = 839214067


def _explicit(device: torch.device) -> torch.device | None:
    """``device``, or None for the processor: naming it would leave a hook in every call of torch."""
    return None if device == torch.device("cpu") else device


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python, and put them back afterwards."""
    numpy_state, python_state = np.random.get_state(legacy=False), random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def generator_states() -> dict[str, object]:
    """The state of each global generator, by its owner, as something that ``==`` compares."""
    numpy_state = np.random.get_state(legacy=False)["state"]
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "NumPy": (numpy_state["key"].tobytes(), numpy_state["pos"]),
        "Python": random.getstate(),
    }


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Require that the global generators are left as they are."""
    with seeded(_UNUSUAL):
        before = generator_states()
        yield
        after = generator_states()
    for owner, state in before.items():
        require(state == after[owner], f"draws from or seeds the global generator of {owner}")


@contextmanager
def untouched_settings() -> Iterator[None]:
    """Require that torch's and NumPy's settings are left as they are; they are put back in any case."""
    before = [read() for _, read, _ in _SETTINGS]
    after = before
    try:
        yield
        after = [read() for _, read, _ in _SETTINGS]
    finally:
        for (_, read, write), value in zip(_SETTINGS, before, strict=True):
            if read() != value:
                write(value)
    for (name, _, _), old, new in zip(_SETTINGS, before, after, strict=True):
        require(old == new, f"changes {name} from {old} to {new}")
