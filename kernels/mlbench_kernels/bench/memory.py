"""Resident memory of this process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def clear_peak() -> None:
    """Start the process's peak anew, where that is possible: on Linux."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        pass


def peak_memory() -> int:
    """Peak resident memory of the process in bytes: since `clear_peak` on Linux, of its whole life elsewhere."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not say."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
