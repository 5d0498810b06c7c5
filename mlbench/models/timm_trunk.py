"""Any timm classification model as a trunk."""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import nn

from mlbench.api import ComponentInfo, ConfigError
from mlbench.models._library_trunk import LibraryTrunk, no_download, unknown_model
from mlbench.models._torchvision import import_torchvision
from mlbench.models._weights import content_of, load_weights


class TimmTrunk(LibraryTrunk):
    """A timm model, globally pooled, without its classifier.

    Source: R. Wightman, PyTorch Image Models, 2019, doi:10.5281/zenodo.4414861.

    Args:
        name: timm's name, with or without a tag of its weights: ``"resnet50"``, ``"resnet50.a1_in1k"``.
        weights: ``"none"`` for timm's random initialisation, ``"pretrained"`` for timm's own download, or the path of
            a state dict file (.pth, .pt, .safetensors) with timm's key names.
        in_channels: 3, or 1 for grey images, which the model then sees as RGB with equal channels.

    Raises:
        UnknownNameError: If timm has no such model; the message names close ones.
        ConfigError: If the weights cannot be fetched, read or fitted.

    >>> trunk = TimmTrunk("resnet10t", in_channels=1)
    >>> trunk.features, trunk(torch.zeros(2, 1, 32, 32)).shape
    (512, torch.Size([2, 512]))
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Any timm classification model by name, classifier removed",
        citation="Wightman, PyTorch Image Models, 2019, doi:10.5281/zenodo.4414861",
        tags=("pretrained",),
    )

    def __init__(self, name: str, weights: str = "none", in_channels: int = 3) -> None:
        timm = import_timm()
        _check_name(timm, name)
        body = _build(timm, name, pretrained=weights == "pretrained")
        if weights not in ("none", "pretrained"):
            load_weights(body, weights, _classifier_keys(timm, name, body))
        super().__init__(body, int(getattr(body, "head_hidden_size", None) or body.num_features), in_channels)

    @classmethod
    def weights_identity(cls, arguments: Mapping[str, Any]) -> str:
        """Hash of the file that the weights come from, timm's name for those that it brings, or "none"."""
        weights = str(arguments["weights"])
        if weights == "pretrained":
            timm, name = import_timm(), str(arguments["name"])
            _check_name(timm, name)
            return f"timm:{_with_tag(timm, name)}"
        return weights if weights == "none" else content_of(weights)


def import_timm() -> ModuleType:
    """Import timm, with the help that torchvision may need."""
    import_torchvision()  # timm imports it too, and would fail where its operators are missing.
    return importlib.import_module("timm")


def _check_name(timm: ModuleType, name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture) or _is_encoder(timm, architecture):
        known = [model for model in timm.list_models() if not _is_encoder(timm, model)]
        raise unknown_model("timm", name, known, "timm.list_models()")
    tagged = timm.list_models(f"{architecture}.*", pretrained=True)
    if tag and name not in tagged:
        raise unknown_model("timm", name, tagged, f"timm.list_models('{architecture}.*', pretrained=True)")


def _with_tag(timm: ModuleType, name: str) -> str:
    """The name with the tag of the weights that it stands for: which those are can change with timm's version.

    Raises:
        ConfigError: If timm has no weights for it.
    """
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise ConfigError(f"timm has no pretrained weights of {name!r}; name a file, or choose another model")
    return f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)


def _is_encoder(timm: ModuleType, architecture: str) -> bool:
    """Whether it is one of timm's encoders for language models, which return tokens and have no classifier."""
    config = timm.get_pretrained_cfg(architecture)
    return config is not None and config.classifier is None


def _build(timm: ModuleType, name: str, *, pretrained: bool) -> Any:
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:
        # What a failed download raises depends on which of several HTTP libraries timm went through.
        if pretrained:
            raise no_download("timm", name, error) from error
        raise


def _classifier_keys(timm: ModuleType, name: str, body: nn.Module) -> set[str]:
    """Keys that the model with its classifier has and ``body`` has not."""
    with torch.device("meta"):  # Only the names matter: no memory, no time.
        full: nn.Module = timm.create_model(name)
    return set(full.state_dict()) - set(body.state_dict())
