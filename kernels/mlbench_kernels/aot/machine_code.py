"""What a kernel's instructions say: which matrix unit it uses, and how much it does per pair beside the product."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from triton import knobs

_UNITS = {  # as in SASS, and as in PTX
    "tcgen05": re.compile(r"\bUTC\w*MMA|\btcgen05\.mma"),
    "wgmma": re.compile(r"\b[HQ]GMMA|\bwgmma\.mma_async"),
    "mma.sync": re.compile(r"\b[HQ]MMA|\bmma\.sync"),
    "fma": re.compile(r"\bFFMA|\bfma\.rn\.f32"),
}
_LABEL = re.compile(r"^([.$]L\w+):")
_INSTRUCTION = re.compile(r"^\s+(?:/\*[0-9a-f]+\*/)?\s+([@A-Za-z][^;]*);|^\t([@a-z][^;]*);")
_BRANCH = re.compile(r"\bbra\b.*?([.$]L\w+)", re.IGNORECASE)


def disassemble(cubin: bytes) -> str | None:
    """SASS from nvdisasm, of Triton's wheel or of the CUDA toolkit; None where there is none."""
    try:
        tool = knobs.nvidia.nvdisasm.path
    except RuntimeError:
        return None
    with TemporaryDirectory() as folder:
        file = Path(folder, "kernel.cubin")
        file.write_bytes(cubin)
        return subprocess.run([tool, "-c", file], capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Listing:
    """Instructions in order, and its loops as ranges of them."""

    instructions: list[str]
    loops: list[range]

    @classmethod
    def of(cls, text: str) -> Listing:
        """Read SASS or PTX; a loop is a branch backwards."""
        instructions: list[str] = []
        labels: dict[str, int] = {}
        for line in text.splitlines():
            if label := _LABEL.match(line):
                labels[label[1]] = len(instructions)
            elif found := _INSTRUCTION.match(line):
                instructions.append(found[1] or found[2])
        loops = []
        for place, instruction in enumerate(instructions):
            target = _BRANCH.search(instruction)
            start = labels.get(target[1], place) if target else place
            if start < place:
                loops.append(range(start, place + 1))
        return cls(instructions, loops)

    def matrix(self, within: range | None = None) -> tuple[str, int]:
        """The unit that multiplies and the number of its instructions; ("none", 0) in an emptied kernel."""
        code = self.instructions if within is None else self.instructions[within.start : within.stop]
        counts = ((unit, sum(bool(name.search(line)) for line in code)) for unit, name in _UNITS.items())
        return next(((unit, found) for unit, found in counts if found), ("none", 0))

    def stream_and_product(self) -> tuple[int, int]:
        """Instructions of the loop over references and, counted in it, of the loop over dimensions.

        Other loops, which wait for a barrier, count where they stand.
        """
        stream = max(self.loops, key=len, default=range(0))
        inner = [
            loop for loop in self.loops if stream.start <= loop.start and loop.stop <= stream.stop and loop != stream
        ]
        product = max(inner, key=lambda loop: (self.matrix(loop)[1], -len(loop)), default=range(0))
        return len(stream), len(product)
