"""Archives unpacked without trust in them."""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

from mlbench.api.errors import DataError
from mlbench.data.prepare.debian import data_of_package

#: An archive may unpack to so many times its size, or so many bytes if that is more. Photographs reach 1, tables 20.
RATIO, FLOOR = 100, 1 << 28
_CHUNK = 1 << 20
#: `RuntimeError` is zipfile's word for an encrypted member and for an unknown compression.
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


class _Member(NamedTuple):
    """A regular file in an archive."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]
    #: Bytes of the archive up to here, where that is known: what progress counts.
    position: int


def unpack(archive: Path, target: Path, progress: Callable[[int, int], None], *, nested: bool = False) -> None:
    """Unpack a zip, tar, tar.gz, tar.xz or deb into ``target``; another file is copied there.

    A member that ``target`` holds already with its full size is passed over: an interrupted unpacking goes on. Names
    that are no UTF-8 are read as Latin-1. Permissions and times are not kept.

    Args:
        archive: The file; its kind is told by its name.
        target: An existing folder.
        progress: Called with bytes of the archive done and in all.
        nested: Whether its members are tars, each of which is unpacked into a folder of its name.

    Raises:
        DataError: If the archive is damaged or encrypted; if a member is a link or a device, points outside ``target``
            or goes by a name that another one needs as a folder; or if all unpack to more than `RATIO` times the size.
    """
    size = archive.stat().st_size
    limit = max(RATIO * size, FLOOR)
    total = 0
    with _told(archive):
        for member in _inner_members(archive) if nested else _members(archive):
            total += member.size
            if total > limit:
                raise DataError(f"{archive}: unpacks to more than {limit:,} bytes, {RATIO} times its size; refused")
            _write(member, _inside(target, member.name, archive))
            progress(min(member.position, size), size)
    progress(size, size)


def _inner_members(archive: Path) -> Iterator[_Member]:
    """The members of the tars in an archive, read through once and never written themselves."""
    for outer in _members(archive):
        folder = outer.name.removesuffix(".tar")
        if folder == outer.name:
            raise DataError(f"{archive}: {outer.name!r} is no tar, as its members should be; is this the right file?")
        with outer.open() as stream:
            for member in _tar_contents(archive, stream, stream.tell):
                yield member._replace(name=f"{folder}/{member.name}", position=outer.position)


def _members(archive: Path) -> Iterator[_Member]:
    suffixes = archive.name.lower()
    if suffixes.endswith(".zip"):
        yield from _zip_members(archive)
    elif suffixes.endswith((".tar", ".tgz", ".tar.gz", ".tar.xz", ".deb")):
        yield from _tar_members(archive)
    else:
        size = archive.stat().st_size
        yield _Member(archive.name, size, lambda: archive.open("rb"), size)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            # The upper half holds the Unix mode, where there is one.
            if info.external_attr >> 28 == 0o12:
                raise DataError(f"{archive}: {info.filename!r} is a link; refused")
            if not info.is_dir():
                position = info.header_offset + info.compress_size
                yield _Member(_zip_name(info), info.file_size, partial(file.open, info), position)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with archive.open("rb") as stream:
        source = _decompressed(data_of_package(stream) if archive.suffix == ".deb" else stream)
        yield from _tar_contents(archive, source, stream.tell)

        # To the end, where the compressor's checksum is: tarfile stops before it, and its own decompression ignores it.
        while source.read(_CHUNK):
            pass


def _tar_contents(archive: Path, source: IO[bytes], position: Callable[[], int]) -> Iterator[_Member]:
    with tarfile.open(fileobj=source, mode="r|", encoding="utf-8", errors="surrogateescape") as file:
        for info in file:
            if not (info.isfile() or info.isdir()):
                kind = "a link" if info.issym() or info.islnk() else "no regular file"
                raise DataError(f"{archive}: {info.name!r} is {kind}; refused")
            if info.isfile():
                yield _Member(_text(info.name), info.size, partial(_opened, file, info), position())


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    start = stream.tell()
    magic = stream.read(6)
    stream.seek(start)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    return lzma.LZMAFile(stream) if magic == b"\xfd7zXZ\0" else stream


def _zip_name(info: zipfile.ZipInfo) -> str:
    utf8 = info.flag_bits & 0x800
    # What is not marked as UTF-8 was decoded as the code page of the first PCs, which takes every byte.
    raw = info.orig_filename.encode("utf-8" if utf8 else "cp437")
    return _text(raw.decode("utf-8", "surrogateescape"))


def _opened(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return cast(IO[bytes], file.extractfile(info))


def _text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1")
    return name


def _inside(target: Path, name: str, archive: Path) -> Path:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\0" in name:
        raise DataError(f"{archive}: {name!r} points outside the folder that it is unpacked into; refused")
    return target.joinpath(*path.parts)


def _write(member: _Member, path: Path) -> None:
    """Write beside the final name and rename: a file of the full size is a whole one."""
    if path.is_file() and path.stat().st_size == member.size:
        return
    part = path.with_name(f".part-{path.name[:200]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, part.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        if part.stat().st_size != member.size:
            raise EOFError(f"{member.name!r} is cut short")
        part.replace(path)
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        raise DataError(f"{member.name!r} is a file in one place and a folder in another; refused") from None


@contextmanager
def _told(archive: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{archive}: cannot be unpacked: {reason}; it is damaged or cut short, get it again") from error
