"""Python processes that find the same modules and plugins as this one."""

import os
import sys


def python_module(module: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment that run a module with this process's import path.

    Not the working folder's: the command line does not import from there, so its processes must not either.
    """
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return [sys.executable, "-P", "-m", module], os.environ | {"PYTHONPATH": path}
