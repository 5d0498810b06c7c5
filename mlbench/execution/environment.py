"""Where a run happened: versions and machine, for the record."""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_COMPUTING = ("torch", "torchvision", "triton", "pytorch-metric-learning", "timm", "numpy", "scipy", "pillow", "optuna")
_PACKAGES = ("mlbench-dml", "mlbench-kernels", *_COMPUTING)


@cache
def environment() -> dict[str, str]:
    """Versions of what computes, and the kind of machine. No host name, no user, no path."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}", **found} | {
        "cpu_count": str(os.cpu_count())
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
