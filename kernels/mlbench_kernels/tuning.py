"""Tile sizes of the Triton engine per compute capability, precision and dimension: looked up, never searched.

The entries follow the compile report (`aot`): all fits, little spills. Where D is small the work per pair beside
the product is most of the time, so tiles are small enough for two blocks on a multiprocessor, one of which multiplies
while the other compares; where D is large the product is, and tiles are as large as the registers allow. A rule with
a width or with thresholds keeps more in registers beside the tile, so it has small tiles of its own for every D.

A file of measured entries, written by `autotune`, comes before the table; `MLBENCH_KERNELS_TUNING` holds its path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import torch

from .checks import check_choice, check_whole
from .precision import PRECISIONS

VARIABLE = "MLBENCH_KERNELS_TUNING"
BUCKETS = ("D<=256", "D>256", "wide")
"""Rules without a width by dimension, and rules with one."""


@dataclass(frozen=True)
class Tiling:
    """How the engine cuts a problem up.

    Attributes:
        rows: anchors of a tile.
        columns: references of a tile.
        dims: dimensions that are multiplied at a time.
        warps: warps that share a tile.
        stages: copies of the operands that are on their way from memory.
    """

    rows: int
    columns: int
    dims: int
    warps: int
    stages: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}x{self.dims} {self.warps} warps {self.stages} stages"

    def shared_memory(self, precision: str) -> int:
        """Bytes of shared memory a block may need: the operands in flight, and scratch for reductions and barriers."""
        width = 2 if precision == "bf16" else 4
        return self.stages * (self.rows + self.columns) * self.dims * width + 1024


INTERPRETER = Tiling(64, 64, 32, 4, 3)
"""What the interpreter runs, whose cost is per tile and not per pair."""

_IEEE = Tiling(64, 64, 16, 4, 3)
_IEEE_WIDE = Tiling(32, 64, 16, 4, 3)
_SMALL = Tiling(64, 64, 32, 4, 3)
_SMALL_BF16 = Tiling(64, 64, 64, 4, 3)

# Precision: the tilings of `BUCKETS`.
TABLE: Mapping[int, Mapping[str, tuple[Tiling, Tiling, Tiling]]] = {
    80: {
        "ieee": (_IEEE, _IEEE, Tiling(64, 32, 16, 4, 2)),
        "tf32x3": (_SMALL, Tiling(128, 64, 32, 8, 3), Tiling(64, 32, 32, 4, 3)),
        "bf16x3": (_SMALL, Tiling(128, 64, 32, 8, 3), _SMALL),
        "tf32": (_SMALL, Tiling(128, 128, 32, 8, 3), _SMALL),
        "bf16": (_SMALL_BF16, Tiling(128, 128, 64, 8, 3), _SMALL_BF16),
    },
    90: {
        "ieee": (_IEEE, _IEEE, _IEEE_WIDE),
        "tf32x3": (_SMALL, Tiling(128, 128, 32, 8, 3), _SMALL),
        "bf16x3": (_SMALL, Tiling(128, 128, 32, 8, 3), _SMALL),
        "tf32": (_SMALL, Tiling(128, 128, 32, 8, 3), _SMALL),
        "bf16": (_SMALL_BF16, Tiling(128, 128, 64, 8, 3), _SMALL_BF16),
    },
    100: {
        "ieee": (_IEEE, _IEEE, _IEEE_WIDE),
        "tf32x3": (_SMALL, Tiling(128, 64, 32, 8, 3), _SMALL),
        "bf16x3": (_SMALL, Tiling(128, 64, 32, 8, 3), _SMALL),
        "tf32": (_SMALL, Tiling(128, 64, 32, 8, 3), _SMALL),
        "bf16": (_SMALL_BF16, Tiling(128, 64, 64, 8, 3), _SMALL_BF16),
    },
    120: {
        "ieee": (_IEEE, _IEEE, _IEEE_WIDE),
        "tf32x3": (_SMALL, Tiling(128, 64, 32, 8, 3), _SMALL),
        "bf16x3": (_SMALL, Tiling(128, 64, 32, 8, 3), _SMALL),
        "tf32": (_SMALL, Tiling(128, 64, 32, 8, 3), _SMALL),
        "bf16": (_SMALL_BF16, Tiling(128, 64, 64, 8, 3), _SMALL_BF16),
    },
}


_GRADIENT = {
    "ieee": (Tiling(32, 32, 16, 8, 2), 64),
    "tf32x3": (Tiling(64, 64, 16, 8, 2), 128),
    "bf16x3": (Tiling(64, 64, 32, 8, 2), 128),
    "tf32": (Tiling(64, 64, 32, 8, 2), 256),
    "bf16": (Tiling(64, 64, 32, 8, 2), 256),
}


def gradient_tiling(precision: str) -> tuple[Tiling, int]:
    """The tiling of gradient passes, and how many dimensions of the sum a program keeps in registers.

    The sum takes most registers and the split modes multiply with copies of it, so tiles are small; programs for the
    other dimensions compute the distances anew. Nothing spills on sm_90.
    """
    return _GRADIENT[precision]


def bucket_of(dimension: int, width: int = 0) -> str:
    """The name of the bucket for a dimension and the width of a rule.

    >>> bucket_of(256), bucket_of(257), bucket_of(257, width=8)
    ('D<=256', 'D>256', 'wide')
    """
    return "wide" if width else "D<=256" if dimension <= 256 else "D>256"


def device_limits(device: torch.device) -> tuple[int, int]:
    """Compute capability (90 is 9.0) of a CUDA device, and the bytes of shared memory that one block may use."""
    gpu = torch.cuda.get_device_properties(device)
    return 10 * gpu.major + gpu.minor, gpu.shared_memory_per_block_optin  # type: ignore[attr-defined]


def device_tiling(device: torch.device, precision: str, dimension: int, width: int) -> Tiling:
    """The tiling for a CUDA device."""
    capability, shared_memory = device_limits(device)
    return find_tiling(capability, precision, dimension, shared_memory, width)


def find_tiling(capability: int, precision: str, dimension: int, shared_memory: int, width: int = 0) -> Tiling:
    """The tiling for a compute capability (90 is 9.0) whose blocks may use `shared_memory` bytes.

    A capability that is not in the table gets the tiling of the nearest older one.

    Raises:
        ValueError: for an unknown precision, or a file of measured entries that cannot be read.
        RuntimeError: for a capability older than the table, or too little memory for any tile.

    >>> print(find_tiling(90, "bf16", 512, 232_448))
    128x128x64 8 warps 3 stages
    >>> print(find_tiling(90, "bf16", 512, 50_000))
    128x128x32 8 warps 2 stages
    >>> print(find_tiling(90, "bf16", 512, 232_448, width=8))
    64x64x64 4 warps 3 stages
    """
    check_choice("precision", precision, PRECISIONS)
    bucket = bucket_of(dimension, width)
    path = os.environ.get(VARIABLE)
    tiling = read_entries(Path(path)).get((capability, precision, bucket)) if path else None
    if tiling is None:
        known = max((known for known in TABLE if known <= capability), default=None)
        if known is None:
            raise RuntimeError(
                f"compute capability {capability / 10} is older than {min(TABLE) / 10}, the oldest known"
            )
        tiling = TABLE[known][precision][BUCKETS.index(bucket)]
    return fit(tiling, precision, shared_memory)


def fit(tiling: Tiling, precision: str, shared_memory: int) -> Tiling:
    """`tiling`, or the largest smaller one that needs at most `shared_memory` bytes."""
    while tiling.shared_memory(precision) > shared_memory:
        if tiling.stages > 2:  # two stages still load while they multiply
            tiling = replace(tiling, stages=tiling.stages - 1)
        elif tiling.dims > 32:
            tiling = replace(tiling, dims=tiling.dims // 2)
        elif tiling.columns > 32:
            tiling = replace(tiling, columns=tiling.columns // 2)
        elif tiling.rows > 32:
            tiling = replace(tiling, rows=tiling.rows // 2)
        else:
            raise RuntimeError(f"no tile fits into {shared_memory} bytes of shared memory; the smallest is {tiling}")
    return tiling


Entries = dict[tuple[int, str, str], Tiling]


@cache
def read_entries(path: Path) -> Entries:
    """Measured entries by capability, precision and bucket.

    Raises:
        ValueError: names the file and what is wrong in it.
    """
    try:
        return {_key(key): _tiling(entry) for key, entry in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{VARIABLE}: {path}: {error}") from error


def write_entries(path: Path, entries: Entries) -> None:
    """Replace the file in one step, so that a reader sees the old or the new one."""
    lines = {f"sm_{key[0]} {key[1]} {key[2]}": asdict(tiling) for key, tiling in entries.items()}
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(lines, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)
    read_entries.cache_clear()


def _key(text: str) -> tuple[int, str, str]:
    capability, precision, bucket = text.split(" ")
    check_choice("precision", precision, PRECISIONS)
    check_choice("bucket", bucket, BUCKETS)
    return int(capability.removeprefix("sm_")), precision, bucket


def _tiling(entry: Mapping[str, int]) -> Tiling:
    tiling = Tiling(**entry)
    for name, value in asdict(tiling).items():
        least = 1 if name in ("warps", "stages") else 16
        if check_whole(name, value, least) & (value - 1) and name != "stages":
            raise ValueError(f"{name}: {value}; expected a power of two")
    return tiling
