"""Where things go that cannot be trusted: named, with the reason, never deleted."""

from collections.abc import Iterator
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
        names = (self._folder / f"{path.name}-{number}" for number in count())
        with explained(self._folder):
            target = next(name for name in names if not name.exists())
            try:
                path.rename(target)
            except FileNotFoundError:
                return None
            target.with_name(f"{target.name}.txt").write_text(why + "\n", encoding="utf-8")
        return target

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
