"""One SHA-256 over named parts, framed so that no two different lists of parts share their bytes."""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def digest(parts: Iterable[str | bytes | npt.NDArray[np.generic]]) -> str:
    """SHA-256 (hex) over ``parts`` in order; an array counts with its dtype and shape.

    >>> digest(["ab", "c"]) == digest(["a", "bc"])
    False
    """
    total = hashlib.sha256()
    for part in parts:
        kind, data = _encoded(part)
        total.update(f"{kind}:{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()


def _encoded(part: str | bytes | npt.NDArray[np.generic]) -> tuple[str, bytes]:
    if isinstance(part, np.ndarray):
        # Little-endian, C order: the same hash on every machine.
        array = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
        return f"array {array.dtype.str} {array.shape}", array.tobytes()
    return ("text", part.encode()) if isinstance(part, str) else ("bytes", part)
