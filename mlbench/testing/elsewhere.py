"""Ask an object for an attribute in another process, where hashes of strings and addresses are others."""

import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from mlbench.testing.requirement import Violation

#: The file is for a class of a module that only its own process can import by name, such as a test.
_CODE = """
import importlib, importlib.util, operator, pickle, sys
module, file, name, arguments, attribute = pickle.load(sys.stdin.buffer)
try:
    found = importlib.import_module(module)
except ImportError:
    spec = importlib.util.spec_from_file_location("component", file)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
print("\\n" + getattr(operator.attrgetter(name)(found)(**arguments), attribute))
"""


def elsewhere(component: type[Any], arguments: Mapping[str, Any], attribute: str) -> str:
    """``component(**arguments).attribute``, a string, in another process.

    Raises:
        Violation: If that process fails.
    """
    question = (component.__module__, inspect.getfile(component), component.__qualname__, dict(arguments), attribute)
    answer = subprocess.run(
        [sys.executable, "-c", _CODE],
        input=pickle.dumps(question),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONHASHSEED": "12345"},
        capture_output=True,
        check=False,
    )
    if answer.returncode:
        last = (answer.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise Violation(f"it cannot be built in another process, as runs with workers do: {last}")
    return answer.stdout.decode().rstrip("\n").rpartition("\n")[2]
