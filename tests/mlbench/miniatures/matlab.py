"""What MATLAB would save: cells of texts, rows of structs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat


def cells(values: Sequence[str]) -> np.ndarray:
    """A cell array, as a column."""
    column = np.empty((len(values), 1), object)
    column[:, 0] = values
    return column


def structs(rows: Sequence[Mapping[str, object]]) -> np.ndarray:
    """A struct array ``1×N``."""
    array = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for index, row in enumerate(rows):
        array[0, index] = tuple(row.values())
    return array


def save_mat(path: Path, **variables: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables)
    return path
