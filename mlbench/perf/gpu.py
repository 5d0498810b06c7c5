"""What makes times of a GPU mean little: clocks that are held down, and other processes on it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

#: Bits of NVML's reasons for clocks below what was asked for. A GPU that is idle, or at its power limit under full
#: load, is as it should be.
_HELD_DOWN = {0x8: "hardware slowdown", 0x20: "too hot", 0x40: "too hot, hardware", 0x80: "power brake"}
_CLOCKS = ["nvidia-smi", "--query-gpu=index,clocks_throttle_reasons.active", "--format=csv,noheader"]
_PROCESSES = ["nvidia-smi", "--query-compute-apps=pid,process_name", "--format=csv,noheader"]
_EVERY = "-lms=500"  # milliseconds


@contextmanager
def watched(found: set[str]) -> Iterator[None]:
    """Add to ``found`` what is wrong with this machine's GPUs: shared before, or throttled during the block.

    Without ``nvidia-smi``, and so without a GPU of NVIDIA's, nothing is.

    Args:
        found: Sentences.
    """
    try:
        shared = subprocess.run(_PROCESSES, capture_output=True, text=True).stdout
        watch = subprocess.Popen([*_CLOCKS, _EVERY], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield
        return
    found |= {f"the GPU is shared with process {line.strip()}" for line in shared.splitlines() if line.strip()}
    with watch:
        assert watch.stdout is not None
        found |= set(_held_down(watch.stdout.readline()))  # it watches from here on
        try:
            yield
        finally:
            watch.send_signal(signal.SIGINT)
            found |= {text for line in watch.stdout for text in _held_down(line)}


def _held_down(line: str) -> list[str]:
    index, _, mask = line.partition(",")
    try:
        reasons = int(mask, 16)
    except ValueError:  # "[N/A]", or a line that was cut short
        return []
    return [f"GPU {index.strip()} is throttled: {name}" for bit, name in _HELD_DOWN.items() if reasons & bit]
