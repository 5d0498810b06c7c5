"""Filling a trunk from a state dict file, strictly apart from its classifier."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mlbench.api import ConfigError

_READERS: dict[str, Callable[[Path], object]] = {
    ".pth": lambda path: torch.load(path, map_location="cpu", weights_only=True),
    ".pt": lambda path: torch.load(path, map_location="cpu", weights_only=True),
    ".safetensors": lambda path: load_file(path),
}


def load_weights(body: nn.Module, file: str, classifier: Collection[str]) -> None:
    """Copy the tensors of ``file`` into ``body``.

    The file may use the library's names (with or without the classifier) or those of a saved trunk (``body.`` before
    each). Counters of batches, which the oldest public files lack and nothing here reads, may be missing.

    Args:
        body: The model without its classifier.
        file: Path of a .pth, .pt or .safetensors file.
        classifier: Keys of the full model that ``body`` no longer has; these are skipped.

    Raises:
        ConfigError: If there is no such file, it is no state dict, or it does not fit; the message names the file and
            the first offending key.
    """
    expected = body.state_dict()
    given = {key: tensor for key, tensor in read_weights(file).items() if key not in classifier}
    given = {key: _of_today(tensor, expected.get(key)) for key, tensor in given.items()}
    problem = _first_misfit(expected, given)
    if problem:
        raise ConfigError(f"{file}: does not fit {type(body).__name__}: {problem}")
    body.load_state_dict(given, strict=False)


def content_of(file: str | Path) -> str:
    """What stands for a file of weights in the identity of a run: ``sha256:`` and the hash of its bytes.

    Raises:
        ConfigError: If there is no such file.
    """
    path = _existing(file)
    stat = path.stat()
    return f"sha256:{_sha256(path, stat.st_size, stat.st_mtime_ns)}"


@lru_cache
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _existing(file: str | Path) -> Path:
    path = Path(file).expanduser()
    if not path.is_file():
        raise ConfigError(f'{path}: no such file; weights is "none", "pretrained" or the path of a state dict file')
    return path


def read_weights(file: str | Path) -> dict[str, Tensor]:
    """The tensors of a state dict file, without the ``body.`` that a saved trunk has before each name.

    Raises:
        ConfigError: If there is no such file, or it is no state dict.
    """
    path = _existing(file)
    if path.suffix not in _READERS:
        raise ConfigError(f"{path}: unknown kind of weight file; known are {', '.join(sorted(_READERS))}")
    try:
        content = _READERS[path.suffix](path)
    except Exception as error:  # Each reader has its own errors for a damaged file; the answer to all is the same.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{path}: not readable as weights ({reason}); save a state dict of plain tensors") from error
    return _state_dict(path, content)


def _state_dict(path: Path, content: object) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: holds a {type(content).__name__}, not a state dict (name -> tensor)")
    stray = next((key for key, value in content.items() if not isinstance(value, Tensor)), None)
    if stray is not None:
        kind = type(content[stray]).__name__
        raise ConfigError(f"{path}: {stray}: is a {kind}, not a tensor; save the model's state dict on its own")
    saved_trunk = all(str(key).startswith("body.") for key in content)
    return {str(key).removeprefix("body.") if saved_trunk else str(key): value for key, value in content.items()}


def _of_today(given: Tensor, expected: Tensor | None) -> Tensor:
    """Early PyTorch saved the vectors of a batch norm as ``[1, C]``."""
    return given[0] if expected is not None and given.shape == (1, *expected.shape) else given


def _first_misfit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    for key, tensor in expected.items():
        if key not in given:
            if key.endswith("num_batches_tracked"):
                continue
            return f"{key}: missing"
        if given[key].shape != tensor.shape:
            return f"{key}: has shape {list(given[key].shape)}, must be {list(tensor.shape)}"
    extra = next((key for key in given if key not in expected), None)
    return f"{extra}: unknown to the model" if extra else None
