"""What a run costs: wall seconds and peak memory."""

import time

from mlbench_kernels.bench.memory import clear_peak, peak_memory


class Meter:
    """Measures from its creation on."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        clear_peak()  # workers run many jobs

    @property
    def seconds(self) -> float:
        """Wall seconds so far."""
        return time.perf_counter() - self._start

    @property
    def peak_memory(self) -> int:
        """Peak resident memory of the process in bytes: since the start on Linux, of its whole life elsewhere."""
        return peak_memory()
