"""JPEGs for the benchmarks of data: 500x375, gradients with smoothed noise, about 80 kB each at quality 90."""

import io
import os

import numpy as np
from PIL import Image

#: Different ones; more files are links to these.
DISTINCT = 100


def photo(number):
    rng = np.random.default_rng(number)
    light = np.linspace(40, 200, 500)[None, :, None] + np.linspace(-40, 40, 375)[:, None, None] * rng.normal(size=3)
    coarse = Image.fromarray(rng.integers(0, 256, (25, 33, 3), dtype=np.uint8)).resize((500, 375))
    fine = Image.fromarray(rng.integers(0, 256, (250, 333, 3), dtype=np.uint8)).resize((500, 375))
    pixels = 0.4 * light + 0.45 * np.asarray(coarse) + 0.3 * (np.asarray(fine) - 128.0) + 20
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def write_photos(folder, count, classes=40):
    """A folder of class folders with ``count`` JPEGs; the mean size of a file."""
    sizes = []
    for number in range(count):
        (place := folder / f"{number % classes:03d}").mkdir(parents=True, exist_ok=True)
        file = place / f"{number:06d}.jpg"
        if number < DISTINCT:
            file.write_bytes(data := photo(number))
            sizes.append(len(data))
        else:
            first = number % DISTINCT
            os.link(folder / f"{first % classes:03d}" / f"{first:06d}.jpg", file)
    return sum(sizes) / len(sizes)
