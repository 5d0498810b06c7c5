"""Oxford 102 Flowers."""

from pathlib import Path

import numpy as np

from miniatures.matlab import save_mat
from miniatures.pictures import picture, save

#: Kind of every image, by its number: mixed, and the kinds in no order, as the owner has them.
LABELS = (3, 3, 1, 2, 4, 1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8)


def write_flowers(root: Path) -> Path:
    """Of each kind the first image is in ``trnid``, the second in ``valid``, the others in ``tstid``."""
    seen: dict[int, int] = {}
    sets: dict[str, list[int]] = {"trnid": [], "valid": [], "tstid": []}
    for number, label in enumerate(LABELS, start=1):
        sample = seen[label] = seen.get(label, -1) + 1
        save(picture(label, sample), root / "jpg" / f"image_{number:05d}.jpg")
        sets["trnid" if sample == 0 else "valid" if sample == 1 else "tstid"].append(number)
    save_mat(root / "imagelabels.mat", labels=np.array([LABELS], np.uint8))
    save_mat(root / "setid.mat", **{name: np.array([members]) for name, members in sets.items()})
    return root
