"""One image file to RGB pixels, whatever its kind."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from mlbench.api.errors import DataError


def decode_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Decode an image file to RGB ``[H, W, 3]``.

    EXIF rotation is applied; grey, palette and CMYK are converted; transparency is laid over white; 16 bits are
    scaled to 8; of an animation the first frame counts.

    Raises:
        DataError: If the file cannot be read as an image; names the file and the reason.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
        return np.array(_to_rgb(upright), dtype=np.uint8)
    # Pillow's decoders raise nearly anything on a damaged file: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image: {reason}; replace or remove the file") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _from_16_bits(image)
    elif image.mode == "F":
        raise ValueError("32-bit float pixels have no defined white; convert it to 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion would clip everything above 255 to white."""
    values = np.asarray(image, dtype=np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit integer pixels have no defined white; convert it to 8 or 16 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
