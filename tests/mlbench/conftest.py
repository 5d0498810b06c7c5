"""Puts this folder on the path: its tests share `stripes`, in this process and in others."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
