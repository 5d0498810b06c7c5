"""The streaming engine: one tile loop per backend, any rule."""

from .problem import DISTANCES, Problem
from .run import run_rule

__all__ = ["DISTANCES", "Problem", "run_rule"]
