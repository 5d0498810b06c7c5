"""Puts this folder on the path, and that of the accidents that its tests share with others."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mlbench")]
