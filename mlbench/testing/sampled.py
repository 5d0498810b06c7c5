"""What of a large dataset is looked at."""

import hashlib

import numpy as np
import numpy.typing as npt

from mlbench.api import Dataset

#: As many items are loaded of a larger dataset: the first of every class, as far as that goes, and others at random.
SAMPLE = 512
#: Pictures that two sides may share, as a share of those compared: real collections have a few.
SHARED = 0.01


def sampled(labels: npt.NDArray[np.int64]) -> list[int]:
    """Indices of the items that are looked at, ascending."""
    if len(labels) <= SAMPLE:
        return list(range(len(labels)))
    firsts = np.unique(labels, return_index=True)[1]
    firsts = firsts[np.linspace(0, len(firsts) - 1, min(len(firsts), SAMPLE // 2)).astype(int)]
    rest = np.setdiff1d(np.arange(len(labels)), firsts)
    others = np.random.default_rng(0).choice(rest, SAMPLE - len(firsts), replace=False)
    return sorted({*firsts.tolist(), *others.tolist()})


def fingerprint(dataset: Dataset, index: int) -> bytes:
    """A hash of the item's content, whatever it is called."""
    pixels = dataset.load(index)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
