"""Annotation files of MATLAB."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat

from mlbench.api.errors import DataError


def read_mat(path: Path, *names: str) -> tuple[npt.NDArray[Any], ...]:
    """Variables of a ``.mat`` file, each as an array of one dimension: numbers, texts (dtype object) or structs.

    Raises:
        DataError: If the file is missing, is damaged, is of version 7.3 (which the owners' files are not) or lacks a
            variable.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        found = loadmat(str(path), variable_names=names, squeeze_me=True)
    except Exception as error:  # SciPy raises nearly anything on a damaged file
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as a MATLAB file: {reason}; unpack the archive again") from error
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{path}: has no variable {missing[0]!r}; is it the owner's file of that name?")
    return tuple(np.atleast_1d(found[name]) for name in names)


def fields(structs: npt.NDArray[Any], path: Path, *names: str) -> list[tuple[Any, ...]]:
    """Fields of every struct ``[N]``: a tuple per struct, numbers as ``int``, texts as ``str``.

    Raises:
        DataError: If these are no structs or they lack a field.
    """
    missing = [name for name in names if name not in (structs.dtype.names or ())]
    if missing:
        raise DataError(f"{path}: its entries have no {missing[0]!r}; is it the owner's file of that name?")
    return [tuple(_plain(entry[name]) for name in names) for entry in structs]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else int(value)
