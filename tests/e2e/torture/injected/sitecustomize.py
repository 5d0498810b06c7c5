"""Accidents inside the processes of a run, which know nothing of them: this folder is on their import path.

The environment variable TORTURE names a folder with orders. A file ``ticket`` sentences a process of one role to die
by SIGKILL just before or after its n-th call of a function that makes things last; the first that takes the file away
is the one. While there is a file ``clock-<role>``, the clock of that role is an hour slow.
"""

import io
import json
import os
import signal
import sys
import time

#: What changes a disk: every commit, checkpoint, lease and event is made of these.
CALLS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir")
HOUR = 3600

_real = {name: getattr(os, name) for name in CALLS}
_role, _orders, _seen = "", "", {}


def begin(role):
    """Be tortured from now on."""
    global _role, _orders
    _role, _orders = role, os.environ["TORTURE"]
    os.register_at_fork(after_in_child=_in_copy)
    for name, real in _real.items():
        setattr(os, name, _counted(name, real))
    io.open = _counted("open", io.open, lambda file, mode="r", *rest: mode[0] in "wax")
    os.open = _counted("open", os.open, lambda path, flags, *rest: flags & os.O_CREAT)
    for name, unit in (("time", 1), ("time_ns", 10**9)):
        setattr(time, name, _slow(getattr(time, name), HOUR * unit))


def _in_copy():
    """A server copies itself to work, and nothing else here forks."""
    global _role
    _role = "worker"
    _seen.clear()


def _counted(name, real, counts=lambda *arguments: True):
    def call(*arguments, **named):
        when = _sentence(name) if counts(*arguments) else None
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def _sentence(name):
    """When to die, if it is at this call."""
    ticket = f"{_orders}/ticket"
    try:
        with _open(ticket) as file:
            order = json.load(file)
    except OSError:
        return None
    if (order["role"], order["call"]) != (_role, name):
        return None
    _seen[order["id"]] = _seen.get(order["id"], 0) + 1
    if _seen[order["id"]] < order["n"]:
        return None
    try:
        _real["unlink"](ticket)
    except FileNotFoundError:
        return None
    return order["when"]


def _slow(real, lag):
    return lambda: real() - (lag if os.path.exists(f"{_orders}/clock-{_role}") else 0)


_open = io.open

if "TORTURE" in os.environ and "mlbench.execution.serve" in getattr(sys, "orig_argv", ()):
    begin("server")
