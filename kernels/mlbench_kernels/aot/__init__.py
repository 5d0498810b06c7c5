"""Compile the shipped kernels for GPUs that are not there, and report what each costs its GPU.

Machine code does not depend on how busy a machine is: the report is the same everywhere, so it can be committed and
compared where no GPU is. It says what a slower kernel shows first: spills, registers, lost matrix instructions.
"""

from .compile import ARCHITECTURES, Job, compile_job, shipped
from .report import compare, load, make_report, save

__all__ = ["ARCHITECTURES", "Job", "compare", "compile_job", "load", "make_report", "save", "shipped"]
