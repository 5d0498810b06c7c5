"""Where things go that cannot be trusted: named, with the reason, never deleted."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from mlbench.api.errors import StoreError
from mlbench.store.atomic import explained


class Quarantine:
    """A folder of things that were set aside, each beside a text of the same name that says why."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, path: Path, why: str) -> Path | None:
        """Move a file or a folder here; None if it is gone already, taken by another process.

        Raises:
            StoreError: If it cannot be moved.
        """
        made(self._folder)
        with explained(self._folder):
            text = self._explanation(path.name, why)
            target = text.with_suffix("")
            try:
                path.rename(target)
            except OSError as error:
                text.unlink()
                if isinstance(error, FileNotFoundError):
                    return None
                raise
        return target

    def _explanation(self, name: str, why: str) -> Path:
        """The text that says why, under a name that nobody else has: it is made first, so that no two take one."""
        for number in count():
            path = self._folder / f"{name}-{number}.txt"
            with suppress(FileExistsError), path.open("x", encoding="utf-8") as text:
                text.write(why + "\n")
                return path
        raise AssertionError

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Names and reasons."""
        for text in sorted(self._folder.glob("*.txt")):
            yield text.stem, text.read_text(encoding="utf-8").strip()


def made(folder: Path) -> None:
    """Make a folder.

    Raises:
        StoreError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}; choose another folder with --store") from None
