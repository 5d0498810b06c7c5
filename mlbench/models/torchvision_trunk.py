"""Any torchvision classification model as a trunk."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

from torch import nn

from mlbench.api import ComponentInfo, ConfigError
from mlbench.models._library_trunk import LibraryTrunk, no_download, unknown_model
from mlbench.models._torchvision import import_torchvision
from mlbench.models._weights import content_of, load_weights

#: Models that carry auxiliary classifiers, and that rescale their input for weights ported from TensorFlow.
_INCEPTIONS = ("googlenet", "inception_v3")


class TorchvisionTrunk(LibraryTrunk):
    """A torchvision classification model with its last layer replaced by the identity.

    Everything below the last layer stays as torchvision defines it, including a dropout. GoogLeNet and Inception v3
    lose their auxiliary classifiers and always take images normalised like ImageNet's (``transform_input``), so that
    the same file is the same network however it was loaded.

    Source: TorchVision maintainers and contributors, TorchVision: PyTorch's Computer Vision library, 2016.

    Args:
        name: torchvision's name: ``"resnet50"``.
        weights: ``"none"`` for torchvision's random initialisation, ``"pretrained"`` for torchvision's own download of
            its best weights, torchvision's name of others (``"IMAGENET1K_V1"``), or the path of a state dict file
            (.pth, .pt, .safetensors) with torchvision's key names.
        in_channels: 3, or 1 for grey images, which the model then sees as RGB with equal channels.

    Raises:
        UnknownNameError: If torchvision has no such model; the message names close ones.
        ConfigError: If the weights are unknown, or cannot be fetched, read or fitted.

    >>> import torch
    >>> trunk = TorchvisionTrunk("shufflenet_v2_x0_5")
    >>> trunk.features, trunk(torch.zeros(2, 3, 64, 64)).shape
    (1024, torch.Size([2, 1024]))
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Any torchvision classification model by name, classifier removed",
        citation="TorchVision maintainers and contributors, TorchVision: PyTorch's Computer Vision library, 2016",
        tags=("pretrained",),
    )

    def __init__(self, name: str, weights: str = "none", in_channels: int = 3) -> None:
        models = _models_with(name)
        body = _build(models, name, _published(models, name, weights))
        full_keys = set(body.state_dict())
        _drop_auxiliary_classifiers(body)
        features = _drop_classifier(body)
        if _is_file(weights):
            load_weights(body, weights, full_keys - set(body.state_dict()))
        super().__init__(body, features, in_channels)

    @classmethod
    def weights_identity(cls, arguments: Mapping[str, Any]) -> str:
        """Hash of the file that the weights come from, torchvision's name for those that it brings, or "none"."""
        name, weights = str(arguments["name"]), str(arguments["weights"])
        if weights == "none":
            return weights
        if _is_file(weights):
            return content_of(weights)
        # The name of a published file ends in the hash of its bytes, to which torchvision holds what it downloads.
        return f"torchvision:{str(_published(_models_with(name), name, weights).url).rpartition('/')[2]}"


def _models_with(name: str) -> ModuleType:
    """``torchvision.models``, which must have a model of that name."""
    models: ModuleType = import_torchvision().models
    known = models.list_models(module=models)
    if name not in known:
        raise unknown_model("torchvision", name, known, "torchvision.models.list_models(torchvision.models)")
    return models


def _is_file(weights: str) -> bool:
    """Whether ``weights`` is a path: a file of weights has a dot in its name, which none of torchvision's names has."""
    return not weights.isidentifier()


def _published(models: ModuleType, name: str, weights: str) -> Any:
    """What torchvision brings under the name ``weights``; None if that is "none" or a path.

    Raises:
        ConfigError: If torchvision has no such weights of the model; the message lists those that it has.
    """
    if weights == "none" or _is_file(weights):
        return None
    known = models.get_model_weights(name)
    member = "DEFAULT" if weights == "pretrained" else weights
    if member not in known.__members__:
        raise ConfigError(
            f"torchvision has no weights {weights!r} of the model {name!r}; known are "
            f'{", ".join(one.name for one in known)}, "pretrained" for its best, "none", or the path of a file'
        )
    return known[member]


def _build(models: ModuleType, name: str, published: Any) -> nn.Module:
    options: dict[str, Any] = {"transform_input": True} if name in _INCEPTIONS else {}
    if published is None:
        if name in _INCEPTIONS:
            options["init_weights"] = True  # Today's default; leaving it out only draws a warning.
        model: nn.Module = models.get_model(name, weights=None, **options)
        return model
    try:
        model = models.get_model(name, weights=published, **options)
    except Exception as error:  # A failed download is a URLError, a ConnectionError, a RuntimeError (wrong hash), ...
        raise no_download("torchvision", name, error) from error
    return model


def _drop_auxiliary_classifiers(model: Any) -> None:
    if hasattr(model, "aux_logits"):
        model.aux_logits = False
        for head in {"aux1", "aux2", "AuxLogits"} & set(dict(model.named_children())):
            setattr(model, head, None)


def _drop_classifier(model: nn.Module) -> int:
    """Replace the last layer of the head by the identity.

    Returns:
        The width of what that layer read. It is a convolution in SqueezeNet, which pools after it.
    """
    head = next(child for child in ("fc", "classifier", "heads", "head") if hasattr(model, child))
    layers = [
        (path, layer)
        for path, layer in model.named_modules()
        if path.split(".")[0] == head and isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    path, last = layers[-1]
    model.set_submodule(path, nn.Identity())
    return last.in_features if isinstance(last, nn.Linear) else last.in_channels
