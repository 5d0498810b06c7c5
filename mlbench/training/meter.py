"""What a run costs: wall seconds and peak memory."""

import resource
import sys
import time
from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Meter:
    """Measures from its creation on."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        try:
            _CLEAR.write_text("5")  # Linux: start the process's peak anew, since workers run many jobs
        except OSError:
            pass

    @property
    def seconds(self) -> float:
        """Wall seconds so far."""
        return time.perf_counter() - self._start

    @property
    def peak_memory(self) -> int:
        """Peak resident memory of the process in bytes: since the start on Linux, of its whole life elsewhere."""
        try:
            line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
            return int(line.split()[1]) * 1024
        except (OSError, StopIteration):
            unit = 1 if sys.platform == "darwin" else 1024
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
