"""One image file to RGB pixels, whatever its kind."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from mlbench.api.errors import DataError


def decode_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Decode an image file to RGB ``[H, W, 3]``.

    What the file is counts, not its name. EXIF rotation is applied; grey, palette and CMYK are converted; transparency
    is laid over white; 16 bits of grey are scaled to 8; of an animation the first frame counts. JPEGs are decoded in
    full: Pillow's ``draft``, which decodes a large one at a half or a quarter of its size, gives other pixels than the
    protocol's resize.

    Raises:
        DataError: If the file is missing, cannot be read as an image, or unpacks to more pixels than
            ``PIL.Image.MAX_IMAGE_PIXELS``; names the file and the reason.
    """
    try:
        with Image.open(path) as image:
            _refuse_bomb(image)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return np.array(_to_rgb(image), dtype=np.uint8)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; unpack the archive again, or put it back") from None
    # Pillow's decoders raise nearly anything on a damaged file: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image: {reason}; replace or remove the file") from error


def _refuse_bomb(image: Image.Image) -> None:
    """Up to twice the limit Pillow itself only warns, and a few kilobytes become gigabytes of memory."""
    limit, pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
    if limit is not None and pixels > limit:
        raise ValueError(f"{image.width}×{image.height} pixels are more than {limit:,}, a decompression bomb?")


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
