"""On what something was measured."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from .. import __version__

_PACKAGES = ("triton", "pytorch-metric-learning", "faiss-cpu")


def environment(device: str, cold: bool) -> dict[str, Any]:
    """Device, versions and what else may matter, as plain values."""
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mlbench-kernels": __version__,
    }
    found |= {name: _version(name) for name in _PACKAGES}
    if device == "cuda":
        return found | _gpu() | {"L2 cache": "cold" if cold else "warm"}
    return found | {"cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS", "as the case says")}


def slug(device: str) -> str:
    """A folder's name.

    >>> slug("NVIDIA H200"), slug("AMD EPYC 7B13 64-Core Processor")
    ('nvidia-h200', 'amd-epyc-7b13-64-core-processor')
    """
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def cpu_name() -> str:
    """As the system says."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _gpu() -> dict[str, Any]:
    gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "cuda": torch.version.cuda,
        "driver": _driver(),
        "capability": f"{gpu.major}.{gpu.minor}",
        "multiprocessors": gpu.multi_processor_count,
        "memory GiB": round(gpu.total_memory / 2**30, 1),
    }


def _driver() -> str:
    try:
        found = re.search(r"Module\s+(?:for \S+\s+)?([\d.]+)", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        found = None
    return found[1] if found else "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
