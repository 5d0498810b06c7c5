"""Pictures that differ by class and by sample, and a file around any text."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(label: int, sample: int, size: tuple[int, int] = (24, 20), mode: str = "RGB") -> Image.Image:
    """A picture of ``size`` (width, height): a colour and stripes of its class, noise of its own."""
    width, height = size
    rng = np.random.default_rng([label, sample])
    colour = np.random.default_rng(label).integers(40, 216, 3)
    stripes = 30 * np.sin(np.arange(width) * (1 + label % 7) / 3)[None, :, None]
    pixels = colour + stripes + rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert(mode)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def write(path: Path, *lines: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
