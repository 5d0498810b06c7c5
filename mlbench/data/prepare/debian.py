"""The files of a Debian package: an ``ar`` archive around a compressed tar."""

import io
from typing import IO

from mlbench.api.errors import DataError

_MAGIC, _HEADER = b"!<arch>\n", 60


def data_of_package(package: IO[bytes]) -> IO[bytes]:
    """The tar ``data.tar.*`` of a package.

    Raises:
        DataError: If it is no such package.
    """
    if package.read(len(_MAGIC)) != _MAGIC:
        raise DataError(f"{package.name}: is no Debian package")
    while len(header := package.read(_HEADER)) == _HEADER:
        name, size = header[:16].decode("ascii", "replace").strip(), header[48:58].decode("ascii", "replace").strip()
        if not size.isdigit():
            break
        if name.startswith("data.tar"):
            if len(data := package.read(int(size))) < int(size):
                break
            return io.BytesIO(data)
        package.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise DataError(f"{package.name}: holds no data.tar; it is damaged or cut short")
