"""What a run costs: seconds of wall, CPU and GPU, and peak memory."""

import os
import time
from collections.abc import Mapping

import torch
from mlbench_kernels.bench.memory import clear_peak, peak_memory

#: What adds up over the attempts at a run.
SECONDS = ("seconds", "cpu_seconds", "gpu_seconds")


class Meter:
    """Measures from its creation on.

    Seconds of GPU are those for which the run had a GPU, used or not, as a cluster bills them; of one that several runs
    share, its part. Seconds of CPU have those of the processes that it started and that have ended; memory is that of
    this process.

    Args:
        device: Where the run computes.
        gpus: On how many GPUs, if that is one; a part of one that is shared.
        spent: What earlier attempts at the run spent.
    """

    def __init__(self, device: str = "cpu", gpus: float = 1.0, spent: Mapping[str, float] | None = None) -> None:
        self._cuda = torch.device(device).type == "cuda"
        self._device = device
        self._before = dict.fromkeys(SECONDS, 0.0)
        self._gpus = gpus
        self.go_on(spent or {})
        self._start, self._cpu = time.perf_counter(), _cpu_seconds()
        clear_peak()  # a process may run many jobs
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(device)

    def go_on(self, spent: Mapping[str, float]) -> None:
        """Count what all earlier attempts at the run spent; whoever knows the most of them is right."""
        for name in SECONDS:
            self._before[name] = max(self._before[name], spent.get(name, 0.0))

    @property
    def spent(self) -> dict[str, float]:
        """Seconds so far, of all attempts."""
        seconds = time.perf_counter() - self._start
        now = (seconds, _cpu_seconds() - self._cpu, seconds * self._gpus if self._cuda else 0.0)
        return {name: self._before[name] + value for name, value in zip(SECONDS, now, strict=True)}

    @property
    def seconds(self) -> float:
        """Wall seconds so far, of all attempts."""
        return self.spent["seconds"]

    @property
    def peak_memory(self) -> int:
        """Peak resident memory of the process in bytes: since the start on Linux, of its whole life elsewhere."""
        return peak_memory()

    @property
    def cost(self) -> dict[str, float]:
        """Seconds, and peak memory of the process and of the device in bytes."""
        memory = {"peak_memory": float(self.peak_memory)}
        if self._cuda:
            memory["peak_device_memory"] = float(torch.cuda.max_memory_allocated(self._device))
        return self.spent | memory


def _cpu_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
