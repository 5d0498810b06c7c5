"""Importing torchvision where its native operators do not load.

A CUDA wheel of torchvision beside a CPU build of torch cannot load its extension. torchvision itself tolerates that,
except for two operators that it describes to torch (``nms``, ``qnms``) without asking whether they exist.
"""

import importlib
import sys
from types import ModuleType

import torch

_SYMPTOM = "operator torchvision::nms does not exist"
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# torch takes the operators back when the library object that declared them is collected.
_declared: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """Import torchvision, and declare its two missing operators if the plain import failed for want of them.

    Models, transforms and datasets then work. The operators stay without an implementation: calling
    ``torchvision.ops.nms`` still fails, as does reading images through ``torchvision.io``.

    Returns:
        The module ``torchvision``.

    Raises:
        RuntimeError: If torchvision cannot be imported for another reason, unchanged.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise
    _declare_operators()
    _forget_failed_import()
    return importlib.import_module("torchvision")


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(operator + _SIGNATURE)
    _declared.append(library)


def _forget_failed_import() -> None:
    """Drop what the failed import left behind: a half-imported package would not bind these again as attributes."""
    for name in [name for name in sys.modules if name.startswith("torchvision.")]:
        del sys.modules[name]
