"""The compile report: what each kernel costs, as JSON that is the same on every machine with the same Triton."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import triton

from .compile import Compiled, Job, compile_job
from .machine_code import Listing, disassemble

Report = dict[str, Any]


def make_report(jobs: Iterable[Job], progress: Callable[[str], None] = lambda line: None) -> Report:
    """Compile `jobs`; kernels, then architectures, then quantities.

    Raises:
        RuntimeError: ptxas did not say what it allocated.
    """
    kernels: dict[str, dict[str, Any]] = {}
    source = "none"
    for job in jobs:
        compiled = compile_job(job)
        sass = disassemble(compiled.cubin)
        source = "PTX" if sass is None else "SASS"
        resources = _resources(job, compiled, Listing.of(compiled.ptx if sass is None else sass))
        kernels.setdefault(job.kernel, {})[f"sm_{job.arch}"] = resources
        progress(f"sm_{job.arch} {job.kernel}: " + ", ".join(f"{key} {value}" for key, value in resources.items()))
    return {"triton": triton.__version__, "instructions": source, "kernels": kernels}


def _resources(job: Job, compiled: Compiled, listing: Listing) -> dict[str, Any]:
    registers = re.search(r"Used (\d+) registers", compiled.log)
    spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", compiled.log)
    if registers is None or spills is None:
        raise RuntimeError(f"{job.kernel}: no registers or spills in the log of ptxas: {compiled.log!r}")
    unit, instructions = listing.matrix()
    stream, product = listing.stream_and_product()
    per_pair = 32 * job.tiling.warps / (job.tiling.rows * job.tiling.columns)
    return {
        "registers": int(registers[1]),
        "spill bytes": int(spills[1]) + int(spills[2]),
        "shared bytes": compiled.shared,
        "matrix unit": unit,
        "matrix instructions": instructions,
        "instructions": len(listing.instructions),
        "instructions per pair": round((stream - product) * per_pair, 3),
        "product instructions per pair and step": round(product * per_pair, 3),
    }


def compare(committed: Report, found: Report) -> list[str]:
    """A line for every kernel, architecture and quantity of `found` that differs from `committed`."""
    lines = [
        f"{key}: committed {committed[key]}, found {found[key]}"
        for key in ("triton", "instructions")
        if committed[key] != found[key]
    ]
    for kernel, architectures in sorted(found["kernels"].items()):
        for arch, resources in sorted(architectures.items()):
            before = committed["kernels"].get(kernel, {}).get(arch)
            if before is None:
                lines.append(f"{kernel}, {arch}: not in the committed report")
                continue
            lines += [
                f"{kernel}, {arch}, {quantity}: committed {before.get(quantity)}, found {value}"
                for quantity, value in resources.items()
                if before.get(quantity) != value
            ]
    return lines


def load(path: Path) -> Report:
    """Read a report.

    Raises:
        ValueError: it is none.
    """
    report = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(report, dict) or {"triton", "instructions", "kernels"} - set(report):
        raise ValueError(f"{path}: not a compile report")
    return report


def save(path: Path, report: Report) -> None:
    """Write a report, sorted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
