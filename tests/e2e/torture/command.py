"""``mlbench run``, started again and again as a copy of this process: only the seconds of its imports are saved."""

import importlib
import os
import sys
import time
from pathlib import Path

INJECTED = Path(__file__).parent / "injected"


class Command:
    """One life of a command.

    Args:
        arguments: After ``mlbench``.
        folder: Where it is given.
        orders: Folder of `sitecustomize`'s orders.
        messages: Where what it says is appended.
    """

    def __init__(self, arguments, folder, orders, messages):
        self.code = None
        self.pid = os.fork()
        if not self.pid:
            _live(arguments, folder, orders, messages)

    def running(self):
        """Whether it has not ended; `code` says how it has, negative: the signal."""
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code is None

    def ended(self):
        """Wait for its end; how it ended."""
        while self.running():
            time.sleep(0.003)
        return self.code

    def pids(self, role):
        """Its processes in a role: ``command``, ``server``, ``worker``."""
        if role == "command":
            return [self.pid]
        servers = _children(self.pid)
        return servers if role == "server" else [pid for server in servers for pid in _children(server)]


def _live(arguments, folder, orders, messages):
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        for descriptor, name in ((0, os.devnull), (1, messages), (2, messages)):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND), descriptor)
        os.environ["TORTURE"] = str(orders)
        sys.path.insert(0, str(INJECTED))
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize").begin("command")
        sys.argv = ["mlbench", *arguments]
        from mlbench.cli import main

        main()
    except SystemExit as leave:
        code = leave.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def orphans(orders):
    """Processes that commands with these orders left behind and that still run."""
    mark = f"TORTURE={orders}".encode()
    return [pid for pid in _all() if pid != os.getpid() and mark in _read(f"/proc/{pid}/environ").split(b"\0")]


def wait_until(condition, patience=120.0):
    """Poll; whether it came true."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.003)
    return True


def _all():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _children(parent):
    stats = {pid: _read(f"/proc/{pid}/stat").rpartition(b")")[2].split() for pid in _all()}
    return [pid for pid, stat in stats.items() if stat and int(stat[1]) == parent and stat[0] != b"Z"]


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
