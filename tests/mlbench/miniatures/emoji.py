"""The files that `mlbench datasets prepare emoji` leaves, of noise."""

import json
from pathlib import Path

import numpy as np


def write_emoji(root: Path) -> Path:
    """Sixteen classes by three vendors."""
    vendors = ["openmoji", "twemoji", "noto"]
    rows = {f"{0x1F400 + index:X}": (f"animal {index}", vendors) for index in range(16)}
    (root / "items.json").write_text(json.dumps(rows))
    (root / "phrases.json").write_text(json.dumps({"en": [[name] for name, _ in rows.values()]}))
    np.save(root / "drawings.npy", np.random.default_rng(0).integers(0, 256, (48, 64, 64, 3), np.uint8))
    return root
