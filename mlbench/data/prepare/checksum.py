"""Checksums of whole files, in the two forms in which owners give them."""

import hashlib
from pathlib import Path

from mlbench.api.errors import DataError


def check(file: Path, checksum: str) -> str:
    """The file's checksum, SHA-256 where ``checksum`` is empty.

    Args:
        file: The file.
        checksum: ``"md5:..."``, ``"sha256:..."`` or empty.

    Raises:
        DataError: If the two differ, ``checksum`` is of another kind, or the file cannot be read.
    """
    kind, _, expected = checksum.partition(":")
    if checksum and kind not in ("md5", "sha256"):
        raise DataError(f"{file.name}: checksum {checksum!r}: must be md5:... or sha256:...")
    try:
        with file.open("rb") as stream:
            # MD5 is what some owners give; it tells damage, not malice.
            digest = hashlib.file_digest(stream, lambda: hashlib.new(kind or "sha256", usedforsecurity=False))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    found = digest.hexdigest()
    if checksum and found != expected.lower():
        raise DataError(
            f"{file}: {kind} is {found}, its owner's file has {expected}: damaged, cut short or another version"
        )
    return f"{kind or 'sha256'}:{found}"
