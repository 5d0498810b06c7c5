"""Fashion-MNIST's four files, in full number, of noise: their sizes are part of the format."""

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt


def write_fashion(root: Path) -> Path:
    """As the Debian package unpacks; pixels are noise, labels count 0 to 9 over and over."""
    folder = root / "usr/share/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for stem, count in (("train", 60_000), ("t10k", 10_000)):
        images = noise.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.int64) % 10
        for kind, values in (("images-idx3", images), ("labels-idx1", labels.astype(np.uint8))):
            (folder / f"{stem}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(values), 0))
    return root


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    """Bytes in the IDX format."""
    sides = b"".join(side.to_bytes(4, "big") for side in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sides + values.tobytes()
