"""From a vendor's SVG to pixels."""

import io
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from mlbench.api.errors import DataError

SIZE = 64


def renderer() -> ModuleType:
    """The SVG renderer.

    Raises:
        DataError: If it is not installed.
    """
    try:
        return import_module("resvg_py")
    except ImportError:
        raise DataError(
            "emoji: resvg-py, which draws the SVGs, is not installed; install the extra `emoji`, mlbench-dml[emoji]"
        ) from None


def draw(icons: Mapping[str, Any], icon: Mapping[str, Any], mirrored: bool, resvg: ModuleType) -> npt.NDArray[np.uint8]:
    """One drawing over white, fitted into ``[64, 64, 3]``.

    Args:
        icons: The vendor's ``icons.json``, whose top level holds the size of every drawing that names none.
        icon: The drawing: ``body``, and its own size if it has one.
        mirrored: Whether left and right change places.
        resvg: What `renderer` gave.
    """
    left, top = (icon.get(side, icons.get(side, 0)) for side in ("left", "top"))
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{SIZE}" height="{SIZE}" viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
    )
    # No fonts: what a machine has installed must not change a pixel.
    png = resvg.svg_to_bytes(svg_string=svg, background="#ffffff", skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as image:
        drawn = image.convert("RGB")
    return np.asarray(ImageOps.mirror(drawn) if mirrored else drawn, np.uint8)
