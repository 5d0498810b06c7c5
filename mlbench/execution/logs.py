"""The log of a run: what it printed, and what happened to it, over all attempts."""

import faulthandler
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from mlbench.store.atomic import explained
from mlbench.store.quarantine import made

_BEGIN = "=== "
_TAIL = 200


class Log:
    """Appends to the log of a run, beginning with a line of its own for each attempt."""

    def __init__(self, path: Path, job: str) -> None:
        made(path.parent)
        with explained(path):
            self.file: TextIO = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
            self.file.write(f"{_BEGIN}{job}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n")

    def note(self, text: str) -> None:
        """A line of the harness."""
        try:
            self.file.write(f"mlbench: {text}\n")
        except OSError:  # a full disk: what matters is written elsewhere, and says so
            pass

    def validated(self, entry: Mapping[str, Any]) -> None:
        """A line for a validation."""
        loss = f", loss {entry['loss']:.4g}" if "loss" in entry else ""
        self.note(f"epoch {entry['epoch']}: validation MAP@R {entry['map_at_r']:.4f}{loss}")

    def take_output(self, timeout: float | None) -> None:
        """Make this the log of whatever the process prints, the traceback of a crash and that of a timeout included.

        Args:
            timeout: Seconds after which the process says where it is and ends; None for never.
        """
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            os.dup2(self.file.fileno(), descriptor)
        faulthandler.enable(self.file)
        if timeout is not None:
            faulthandler.dump_traceback_later(timeout, exit=True, file=self.file)

    def close(self) -> None:
        """No more lines."""
        with suppress(OSError):  # a full disk: of what was not written yet
            self.file.close()


def last_words(path: Path) -> str:
    """The last lines of the last attempt."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = text.rpartition(f"\n{_BEGIN}")[2].splitlines()[1:]
    return "\n".join(lines[-_TAIL:])
