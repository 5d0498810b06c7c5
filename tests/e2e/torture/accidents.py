"""What happens to a command while it runs: who is killed and where, a disk that is full, a clock that is set back."""

import contextlib
import json
import os
import signal
import subprocess
import time
from itertools import count

from command import wait_until

ROLES = ("command", "server", "worker")
#: At which of so many of its next calls of a function a process dies at the latest: about as often a run calls it.
CALLS = {"open": 16, "fsync": 32, "replace": 16, "rename": 1, "unlink": 16, "mkdir": 3, "rmdir": 1}
#: Seconds within which a kill comes that is not aimed, a disk stays full, and a clock stays wrong.
SOON, FULL, SLOW = 1.5, 1.5, 3.0
#: Seconds after which a kill is called off that was aimed at a call which nobody makes.
_PATIENCE = 10.0
_HOUR = 3600
_numbers = count()


class Kill:
    """SIGKILL at a random moment."""

    where = "at a random moment"

    def __init__(self, role, random):
        self.role, self._random = role, random

    def happen(self, command, place):
        """Whether it did, before the command ended."""
        soon = time.monotonic() + self._random.uniform(0, SOON)
        if not wait_until(lambda: time.monotonic() > soon or not command.running()) or not command.running():
            return False
        if not wait_until(lambda: command.pids(self.role) or not command.running()) or not command.running():
            return False
        try:
            os.kill(self._random.choice(command.pids(self.role)), signal.SIGKILL)
        except (ProcessLookupError, IndexError):  # it ended by itself just now
            return False
        return self.role != "command" or command.ended() == -signal.SIGKILL


class AimedKill:
    """SIGKILL just before or after a call of which commits, checkpoints and leases are made.

    Args:
        role: Of whom.
        random: Says which and when.
        runs: After how many runs at the latest.
    """

    def __init__(self, role, random, runs=1):
        self.role = role
        self.where = random.choice(list(CALLS))
        number, when = random.randint(1, runs * CALLS[self.where]), random.choice(["before", "after"])
        self._order = {"role": role, "call": self.where, "n": number, "when": when, "id": str(next(_numbers))}

    def happen(self, command, place):
        """Whether it did, before the command ended."""
        ticket = place.orders / "ticket"
        staged = ticket.with_name("new")
        staged.write_text(json.dumps(self._order))
        staged.replace(ticket)
        wait_until(lambda: not ticket.exists() or not command.running(), patience=_PATIENCE)
        try:
            ticket.unlink()
        except FileNotFoundError:
            return True
        return False


class FullDisk:
    """The store's disk is full for a while, but for a few bytes."""

    role, where = "disk", "full for a while"

    def __init__(self, random):
        self._random = random

    def happen(self, command, place):
        """Whether it could be done."""
        if not place.disk:
            return False
        time.sleep(self._random.uniform(0, SOON))
        left, balloon = self._random.randrange(1 << 14), place.folder / "balloon"
        with balloon.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(1 << 16)):
                    pass
            file.truncate(max(0, file.tell() - left))
        freed = time.monotonic() + self._random.uniform(0, FULL)
        wait_until(lambda: time.monotonic() > freed)
        balloon.unlink()
        return True


class ClockSetBack:
    """The clock of one role's processes, or of all, is an hour slow for a while, and so are the times of all files."""

    role, where = "clock", "set back an hour"

    def __init__(self, random):
        self._random = random

    def happen(self, command, place):
        """It always does."""
        clocks = [place.orders / f"clock-{role}" for role in self._random.sample(ROLES, self._random.randint(1, 3))]
        for clock in clocks:
            clock.touch()
        for path in place.store.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                then = path.stat().st_mtime - _HOUR
                os.utime(path, (then, then))
        end = time.monotonic() + self._random.uniform(0, SLOW)
        wait_until(lambda: time.monotonic() > end or not command.running())
        for clock in clocks:
            clock.unlink()
        return True


class Place:
    """A folder for a study: a small disk of its own where this process may mount one.

    Attributes:
        folder: Where the study is.
        store: Its store.
        orders: For `sitecustomize`; on another disk.
        disk: Whether it is a disk of its own.
    """

    def __init__(self, folder, orders):
        self.folder, self.store, self.orders = folder, folder / "store", orders
        folder.mkdir()
        orders.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
        try:
            self.disk = not subprocess.run(mount, capture_output=True, check=False).returncode
        except FileNotFoundError:
            self.disk = False

    def close(self):
        """Give the disk back."""
        if self.disk:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
