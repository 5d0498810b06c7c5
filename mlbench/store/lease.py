"""Leases: one holder of a name at a time, among processes of this machine and of others that share the disk.

A lease is a file. Its holder counts in it, and keeps it locked. Whoever wants it looks, on the same machine, whether it
is locked: the system frees the lock when the holder dies, however it dies. From another machine it looks whether the
count still rises, and takes the lease over when it has stood still for long by its own monotonic clock. No two clocks
are ever compared, and none that can be set.
"""

import json
import os
import platform
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbench.store.atomic import explained

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: the count alone decides
    fcntl = None

#: Seconds between two counts of a holder, and for how long a count must stand still before it is taken for dead.
BEAT, EXPIRY = 1.0, 60.0
#: The same for one that nothing was written into, which takes no time: its holder was killed just then.
_WORDLESS = 5.0
_SIZE = 1024


class Lease:
    """A lease that is held. Made by `Leases.take`.

    Attributes:
        spent: What those had spent who held it before and did not give it back, as the last of them told.
    """

    def __init__(self, path: Path, descriptor: int, about: Mapping[str, Any], spent: Mapping[str, float]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._about: dict[str, Any] = {
            "owner": uuid.uuid4().hex,
            "machine": _machine(),
            "node": platform.node(),
            "pid": os.getpid(),
        }
        self.spent = dict(spent)
        self._about |= {**about, "spent": self.spent}
        self._beats = 0
        self._left = False
        try:
            self._write()
        except OSError:
            self.release()
            raise

    def tell(self, **progress: Any) -> None:
        """What the next beats say besides the count; a function is asked at each of them."""
        self._about |= progress

    @property
    def lost(self) -> bool:
        """Whether it was taken over, or removed."""
        return os.fstat(self._descriptor).st_nlink == 0 or _successor(self._path).exists()

    def beat(self) -> bool:
        """Show that the holder lives; False if the lease was taken over, and the holder must stop."""
        if self.lost:
            return False
        self._beats += 1
        self._write()
        return True

    def leave(self) -> None:
        """Have `release` leave what it says to the next holder, as the end of the process would."""
        self._left = True

    def release(self) -> None:
        """Give it back."""
        if os.fstat(self._descriptor).st_nlink:
            self._end()
        os.close(self._descriptor)

    def _end(self) -> None:
        if self._left:
            self._about["ended"] = True
            with suppress(OSError):  # a full disk
                self._write()
                return
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        about = {name: value() if callable(value) else value for name, value in {**self._about}.items()}
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, json.dumps(about | {"beat": self._beats}).encode().ljust(_SIZE))


class Leases:
    """The leases in a folder, as one observer sees them.

    Args:
        folder: Where they are; made when the first one is taken.
        expiry: Seconds after which a holder on another machine that shows no life is taken for dead.
    """

    def __init__(self, folder: Path, expiry: float = EXPIRY) -> None:
        self._folder = folder
        self._expiry = expiry
        self._seen: dict[Path, tuple[bytes, float]] = {}

    def take(self, name: str, about: Mapping[str, Any]) -> Lease | None:
        """Take a lease; None while somebody else holds it.

        Args:
            name: What to hold, a file name.
            about: What others may read of the holder.

        Raises:
            StoreError: If the folder cannot be written.
        """
        older = self._generations(name)
        if older and self._lives(older[-1]):
            return None
        path = _successor(older[-1]) if older else self._folder / f"{name}.0"
        with explained(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
            except FileExistsError:
                return None
            before = _content(older[-1]) if older else None
            # Written before it is locked: whoever is killed between the two leaves a lease that is plainly free.
            lease = Lease(path, descriptor, about, (before or {}).get("spent", {}))
        _lock(descriptor)
        # The one before may have been made, but not yet locked, when it was looked at; and so may this one have been.
        if lease.lost or any(self._lives(path) for path in older):
            lease.release()
            return None
        for path in older:
            path.unlink(missing_ok=True)
        return lease

    def holder(self, name: str) -> dict[str, Any] | None:
        """What the holder of a lease says of itself; None if nobody holds it."""
        found = self._generations(name)
        return _content(found[-1]) if found and self._lives(found[-1]) else None

    def held(self) -> Iterator[tuple[str, dict[str, Any], float]]:
        """Name, content and time of the last beat (by the disk's clock) of every lease that is held."""
        for name in sorted({path.stem for path in self._folder.glob("[!.]*.*")}):
            path = (self._generations(name) or [self._folder])[-1]
            with suppress(FileNotFoundError):
                if path != self._folder and self._lives(path) and (content := _content(path)):
                    yield name, content, path.stat().st_mtime

    def names(self) -> set[str]:
        """Names of all leases that may be held: those that are not among them are free."""
        try:
            return {file.rpartition(".")[0] for file in os.listdir(self._folder)}
        except FileNotFoundError:
            return set()

    def alive(self) -> set[str]:
        """Names of the leases that are held, as far as can be known: one on another machine may be."""
        return {path.stem for path in self._folder.glob("[!.]*.*") if self._lives(path)}

    def wordless(self) -> set[str]:
        """Names of leases that nothing was written into: made just now, or by one who was killed before it could."""
        found = set()
        for path in self._folder.glob("[!.]*.*"):
            with suppress(FileNotFoundError):
                if not path.stat().st_size:
                    found.add(path.stem)
        return found

    def _generations(self, name: str) -> list[Path]:
        start = f"{name}."
        try:  # not `glob`: on a cluster there are hundreds, looked through for every job
            found = [int(file[len(start) :]) for file in os.listdir(self._folder) if _is_generation(file, start)]
        except FileNotFoundError:
            return []
        return [self._folder / f"{start}{number}" for number in sorted(found)]

    def _lives(self, path: Path) -> bool:
        try:
            content = path.read_bytes()
            locked = _locked(path)
        except FileNotFoundError:
            return False
        said = _parsed(content)
        if said.get("ended"):
            return False
        if locked is not None and said.get("machine") == _machine():
            return locked
        seen, since = self._seen.get(path, (None, 0.0))
        now = time.monotonic()
        if seen != content:
            self._seen[path] = content, now
            return True
        return now - since < (self._expiry if content else _WORDLESS) or bool(locked)


def _is_generation(file: str, start: str) -> bool:
    return file.startswith(start) and file[len(start) :].isdecimal()


def _successor(path: Path) -> Path:
    return path.with_suffix(f".{int(path.suffix[1:]) + 1}")


def _lock(descriptor: int) -> None:
    """Lock a file that this process has made: others only look whether it is locked, which is a matter of moments."""
    if fcntl is not None:
        with suppress(OSError):  # a disk without locks: the count alone decides
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _locked(path: Path) -> bool | None:
    """Whether a process holds the lock; None where there are no locks."""
    if fcntl is None:
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _content(path: Path) -> dict[str, Any] | None:
    try:
        return _parsed(path.read_bytes()) or None
    except FileNotFoundError:
        return None


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:  # caught between two writes
        return {}
    return found if isinstance(found, dict) else {}


def _machine() -> str:
    """Whose kernel keeps the locks of this process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()
