"""Where a component's code is and what it hashes to, without importing it."""

import hashlib
import os
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path


def home_of(module: str) -> ModuleSpec | None:
    """The outermost regular package or module that holds ``module``: the code that changes together.

    Namespace packages on the way are passed through. None if there is no such thing.
    """
    head, *rest = module.split(".")
    try:
        spec = find_spec(head)
    except (ImportError, ValueError):  # ``__main__`` and others that were not imported from anywhere
        return None
    while spec is not None and spec.origin is None and spec.submodule_search_locations is not None:
        if not rest:
            return None
        head = f"{head}.{rest.pop(0)}"
        spec = PathFinder.find_spec(head, list(spec.submodule_search_locations))
    return spec


@cache
def source_hash(module: str) -> str | None:
    """SHA-256 over all Python files of the package that holds ``module``; None if it has none that can be read.

    A process hashes a package once, as it imports it once.
    """
    spec = home_of(module)
    if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
        return None
    root = Path(spec.origin)
    files = sorted(root.parent.rglob("*.py")) if spec.submodule_search_locations is not None else [root]
    total = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.relative_to(root.parent).as_posix()}:{len(content)}:".encode())
        total.update(content)
    return total.hexdigest()
